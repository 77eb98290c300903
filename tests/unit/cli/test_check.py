"""`dev.py check`: its output, its settings and its exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.check import check
from cli.common import local_settings
from local.settings_file import SettingsFileBroken

# A file of the test's own: the repository's triggers.yaml belongs to the developer, who may be editing it.
TRIGGERS = """\
datastores:
  workspaceblobstore:
    connection: DataStorage
    container: ${DATA_CONTAINER}
pipelines:
  scoring:
    kind: published_pipeline
    endpoint: ${SCORING_ENDPOINT}
    experiment: MyRestPipeline
    parameters:
      input_string: sample_string3
triggers:
  every-15-minutes:
    pipeline: scoring
    schedule:
      frequency: minute
      interval: 15
  new-data:
    pipeline: scoring
    blob:
      datastore: workspaceblobstore
      path: incoming
      include: ["*.csv"]
    data_paths:
      input_datapath: "{{ blob.path }}"
  on-demand:
    pipeline: scoring
    http: {}
"""
VALUES = {
    "SCORING_ENDPOINT": "https://x.api.azureml.ms/a/PipelineRuns/PipelineSubmit/1",
    "DATA_CONTAINER": "data",
    "DataStorage__blobServiceUri": "https://lake.blob.core.windows.net",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a triggers file and its settings."""
    (tmp_path / "triggers.yaml").write_text(TRIGGERS)
    write_settings(tmp_path / "local.settings.sample.json", VALUES)
    return tmp_path


def write_settings(file: Path, values: object) -> None:
    file.write_text(json.dumps({"IsEncrypted": False, "Values": values}))


def run(folder: Path, *options: str) -> Result:
    return CliRunner().invoke(check, [str(folder / "triggers.yaml"), *options])


def test_a_correct_file_is_shown_with_its_triggers_and_pipelines(folder: Path) -> None:
    result = run(folder)
    assert result.exit_code == 0, result.output
    for word in ("every-15-minutes", "new-data", "on-demand", "scoring", "input_string", "*.csv"):
        assert word in result.output


def test_json_has_one_row_for_each_trigger(folder: Path) -> None:
    result = run(folder, "--json")
    assert result.exit_code == 0
    content = json.loads(result.stdout)
    assert content["ok"] is True
    assert content["triggers"] == [
        {
            "trigger": "every-15-minutes",
            "source": "schedule every 15 minutes",
            "pipeline": "scoring",
            "passes": "input_string",
        },
        {
            "trigger": "new-data",
            "source": "blob data/incoming *.csv",
            "pipeline": "scoring",
            "passes": "input_string, input_datapath (data path)",
        },
        {
            "trigger": "on-demand",
            "source": "http POST /api/v1/triggers/on-demand/submissions",
            "pipeline": "scoring",
            "passes": "input_string",
        },
    ]


def test_errors_end_with_exit_code_1(folder: Path) -> None:
    file = folder / "triggers.yaml"
    file.write_text(file.read_text().replace("pipeline: scoring", "pipeline: scorin"))
    result = run(folder)
    assert result.exit_code == 1
    assert f"{file}: 3 errors found; no function starts." in result.stderr
    assert "triggers.new-data.pipeline: found scorin" in result.stderr
    content = json.loads(run(folder, "--json").stdout)
    assert content["ok"] is False
    assert [problem["where"] for problem in content["problems"]] == [
        "triggers.every-15-minutes.pipeline",
        "triggers.new-data.pipeline",
        "triggers.on-demand.pipeline",
    ]
    line = content["problems"][0]["line"]
    assert file.read_text().splitlines()[line - 1].strip() == "pipeline: scorin"


def test_a_missing_file_ends_with_exit_code_1(tmp_path: Path) -> None:
    result = run(tmp_path)
    assert result.exit_code == 1
    assert "the file cannot be read" in result.stderr


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not JSON"),
        ("[]", 'there must be an object "Values"'),
        ('{"Values": []}', 'there must be an object "Values"'),
        ('{"Values": {"N": 5}}', "not text: N; put the values in quotes"),
        ('{"Values": {}, "IsEncrypted": true}', "is encrypted"),
    ],
)
def test_settings_that_cannot_be_read_are_an_error(
    folder: Path, content: str, message: str
) -> None:
    (folder / "local.settings.json").write_text(content)
    with pytest.raises(SettingsFileBroken):
        local_settings(folder, environment={})
    result = run(folder, "--json")
    assert result.exit_code == 1
    (problem,) = json.loads(result.stdout)["problems"]
    assert (problem["where"], message in problem["message"]) == ("the settings", True)


def test_the_file_of_the_setting_triggers_file_is_checked(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "triggers.yaml").rename(folder / "mine.yaml")
    write_settings(folder / "local.settings.json", {"TRIGGERS_FILE": "mine.yaml"})
    monkeypatch.chdir(folder)
    result = CliRunner().invoke(check, ["--json"])
    assert result.exit_code == 0
    assert json.loads(result.stdout)["file"] == "mine.yaml"


def test_a_missing_connection_is_an_error_too(folder: Path) -> None:
    values = {name: value for name, value in VALUES.items() if not name.startswith("DataStorage")}
    write_settings(folder / "local.settings.sample.json", values)
    result = run(folder, "--json")
    assert result.exit_code == 1
    (problem,) = json.loads(result.stdout)["problems"]
    assert problem["where"] == "datastores.workspaceblobstore.connection"
    line = (folder / "triggers.yaml").read_text().splitlines()[problem["line"] - 1]
    assert line.strip().startswith("connection: DataStorage")
    assert "DataStorage__blobServiceUri" in problem["message"]
