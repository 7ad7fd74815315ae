"""The files of deploy/: each is read by what the server reads it with, or checked against its schema."""

import copy
import importlib.resources
import json
import os
import pathlib
import re
import subprocess
import sys

import jsonschema
import kserve_schema
import kubernetes_validate
import pytest
import referencing
import stand_in
import yaml
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2
from tf_serving_messages import BatchingParameters, MonitoringConfig

ROOT = pathlib.Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
KUBERNETES = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
VERSION = "1.35"  # of Kubernetes
CONFIGS = {
    "models.config": model_server_config_pb2.ModelServerConfig,
    "batching.config": BatchingParameters,
    "monitoring.config": MonitoringConfig,
}


def text(name):
    return (DEPLOY / name).read_text(encoding="utf-8")


def load(path):
    [document] = yaml.safe_load_all(path.read_text(encoding="utf-8"))
    return document


def config(name):
    return text_format.Parse(text(name), CONFIGS[name]())


# --- text files of TF Serving -----------------------------------------------------------------


@pytest.mark.parametrize("name", CONFIGS)
def test_the_server_can_read_a_config_and_would_refuse_a_wrong_field(name):
    assert config(name).ByteSize()
    with pytest.raises(text_format.ParseError, match="no_such_field"):
        text_format.Parse(text(name) + "\nno_such_field: 1", CONFIGS[name]())


def test_every_config_is_read_above():
    assert {path.name for path in DEPLOY.glob("*.config")} == set(CONFIGS)


def test_labels_name_versions_that_are_loaded():
    [model] = config("models.config").model_config_list.config
    assert model.model_platform == "tensorflow"
    assert set(model.version_labels) == {"stable", "canary"}
    assert set(model.version_labels.values()) <= set(model.model_version_policy.specific.versions)


def test_the_steps_of_a_release_keep_every_label_on_a_loaded_version():
    """The comment of models.config: a label moves only to a version that was loaded in the step before."""
    steps = re.findall(
        r"^#\s+\d\. \w+\s+((?:versions: \d\s+)+)stable (\d), canary (\d)",
        text("models.config"),
        re.M,
    )
    assert len(steps) == 4
    loaded = set(
        config("models.config").model_config_list.config[0].model_version_policy.specific.versions
    )
    for versions, stable, canary in steps:
        now = set(map(int, re.findall(r"\d", versions)))
        assert {int(stable), int(canary)} <= now & loaded
        loaded = now
    assert steps[-1][1:] == ("2", "2")


def test_batches_are_bound_and_never_padded():
    """TF Serving pads with the first value of a request, not with "": see the file."""
    batching = config("batching.config")
    assert not batching.pad_variable_length_inputs
    assert "pad_variable_length_inputs: false" in text("batching.config")
    assert batching.enable_large_batch_splitting.value
    assert batching.max_batch_size.value >= 1000
    assert batching.max_execution_batch_size.value <= batching.max_batch_size.value
    assert not batching.allowed_batch_sizes


def test_metrics_are_where_prometheus_is_told():
    path = config("monitoring.config").prometheus_config.path
    annotations = load(DEPLOY / "kubernetes/deployment.yaml")["spec"]["template"]["metadata"][
        "annotations"
    ]
    assert config("monitoring.config").prometheus_config.enable
    assert annotations["prometheus.io/path"] == path


# --- docker-compose ---------------------------------------------------------------------------


def compose_errors(document):
    file = (
        importlib.resources.files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json"
    )
    schema = json.loads(file.read_text(encoding="utf-8"))
    return [
        error.message
        for error in jsonschema.validators.validator_for(schema)(schema).iter_errors(document)
    ]


def test_compose_fits_the_compose_specification():
    document = load(DEPLOY / "docker-compose.yml")
    assert compose_errors(document) == []
    for place in ("pids_limt", "healtcheck"):
        wrong = copy.deepcopy(document)
        wrong["services"]["serving"][place] = 1
        assert place in str(compose_errors(wrong))
    document["services"]["serving"]["volumes"][0]["readonly"] = True
    assert "readonly" in str(compose_errors(document))


def serving():
    return load(DEPLOY / "docker-compose.yml")["services"]["serving"]


def test_compose_is_closed():
    service = serving()
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert all(volume["read_only"] for volume in service["volumes"])
    assert service["read_only"] and service["cap_drop"] == ["ALL"]
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"}


@pytest.fixture
def server():
    faults = stand_in.Faults()
    with stand_in.rest(faults) as address:
        yield address


@pytest.mark.parametrize(("model", "healthy"), [(stand_in.NAME, True), ("other", False)])
def test_the_health_check_of_compose_tells_a_loaded_model(server, model, healthy):
    """The command as it stands, against a server on another port with another model."""
    [program, *arguments] = serving()["healthcheck"]["test"][1:]
    command = arguments[-1].replace("8501", server.rpartition(":")[2]).replace("home_goods", model)
    done = subprocess.run(
        [program, arguments[0], command], check=False, timeout=20, capture_output=True
    )
    assert (done.returncode == 0) is healthy


def test_the_health_check_fails_without_a_server():
    [program, *arguments] = serving()["healthcheck"]["test"][1:]
    with stand_in.hangs_up() as port:
        pass
    command = arguments[-1].replace("8501", str(port))
    done = subprocess.run(
        [program, arguments[0], command], check=False, timeout=20, capture_output=True
    )
    assert done.returncode != 0


# --- Kubernetes -------------------------------------------------------------------------------


@pytest.mark.parametrize("path", KUBERNETES, ids=lambda path: path.stem)
def test_a_manifest_fits_the_schema_of_kubernetes(path):
    document = load(path)
    kubernetes_validate.validate(document, VERSION, strict=True)
    document["spec"]["no_such_field"] = 1
    with pytest.raises(kubernetes_validate.ValidationError, match="no_such_field"):
        kubernetes_validate.validate(document, VERSION, strict=True)


def test_a_wrong_field_deep_in_the_deployment_is_found():
    document = load(DEPLOY / "kubernetes/deployment.yaml")
    [container] = document["spec"]["template"]["spec"]["containers"]
    container["readinessProbe"]["httpget"] = container["readinessProbe"].pop("httpGet")
    with pytest.raises(kubernetes_validate.ValidationError, match="httpget"):
        kubernetes_validate.validate(document, VERSION, strict=True)


def test_manifests_belong_together():
    documents = {path.stem: load(path) for path in KUBERNETES}
    deployment = documents["deployment"]
    name = deployment["metadata"]["name"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    assert documents["service"]["spec"]["selector"] == labels
    assert documents["disruption_budget"]["spec"]["selector"]["matchLabels"] == labels
    assert documents["network_policy"]["spec"]["podSelector"]["matchLabels"] == labels
    assert documents["autoscaler"]["spec"]["scaleTargetRef"]["name"] == name
    assert "replicas" not in deployment["spec"]  # or each `kubectl apply` would undo the autoscaler
    pod = deployment["spec"]["template"]["spec"]
    volumes = {each["name"]: each for each in pod["volumes"]}
    [container] = pod["containers"]
    assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes)
    claim = volumes["models"]["persistentVolumeClaim"]
    assert (
        claim["claimName"] == documents["models_volume"]["metadata"]["name"] and claim["readOnly"]
    )
    ports = {port["name"] for port in container["ports"]}
    assert {port["targetPort"] for port in documents["service"]["spec"]["ports"]} == ports
    assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container)
    assert set(container["resources"]) == {"requests", "limits"}
    assert pod["securityContext"]["runAsNonRoot"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_kustomization_names_every_manifest_and_config():
    kustomization = load(DEPLOY / "kustomization.yaml")
    assert {DEPLOY / name for name in kustomization["resources"]} == set(KUBERNETES)
    [generator] = kustomization["configMapGenerator"]
    volumes = load(DEPLOY / "kubernetes/deployment.yaml")["spec"]["template"]["spec"]["volumes"]
    [mounted] = [each["configMap"]["name"] for each in volumes if "configMap" in each]
    assert generator["name"] == mounted
    assert set(generator["files"]) == set(CONFIGS)


# --- the same in all of them ------------------------------------------------------------------


def arguments_of_both():
    [container] = load(DEPLOY / "kubernetes/deployment.yaml")["spec"]["template"]["spec"][
        "containers"
    ]
    return serving()["command"], container["args"]


def test_compose_and_kubernetes_start_the_server_alike():
    ours, theirs = arguments_of_both()
    assert ours == theirs
    [container] = load(DEPLOY / "kubernetes/deployment.yaml")["spec"]["template"]["spec"][
        "containers"
    ]
    assert serving()["image"] == container["image"]
    assert serving()["entrypoint"] == container["command"]
    model = load(DEPLOY / "kserve.yaml")["spec"]["predictor"]["model"]
    assert container["image"].endswith(f":{model['runtimeVersion']}")
    assert model["resources"] == container["resources"]


def test_flags_are_those_of_the_server():
    """As in tensorflow_serving/model_servers/main.cc."""
    known = {
        "port",
        "rest_api_port",
        "rest_api_timeout_in_ms",
        "model_config_file",
        "model_config_file_poll_wait_seconds",
        "allow_version_labels_for_unavailable_models",
        "enable_batching",
        "batching_parameters_file",
        "monitoring_config_file",
    }
    flags = dict(argument.removeprefix("--").split("=") for argument in arguments_of_both()[0])
    assert set(flags) == known
    files = {
        pathlib.PurePath(value).name for value in flags.values() if value.startswith("/config/")
    }
    assert files == set(CONFIGS)


def test_the_model_is_the_same_everywhere():
    [model] = config("models.config").model_config_list.config
    assert model.base_path == f"/models/{model.name}"
    for name in ("docker-compose.yml", "kubernetes/deployment.yaml"):
        asked = re.findall(r"/v1/models/(\w+)/labels/(\w+)/metadata", text(name))
        assert set(asked) == {(model.name, "stable")}
    kserve = load(DEPLOY / "kserve.yaml")
    assert kserve["spec"]["predictor"]["model"]["storageUri"].endswith(f"/{model.name}")
    probe = kserve["spec"]["predictor"]["model"]["readinessProbe"]["httpGet"]
    assert probe["path"] == f"/v1/models/{kserve['metadata']['name']}/metadata"


# --- KServe -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def kserve_errors():
    folder = importlib.resources.files("kubernetes_validate") / "kubernetes-json-schema"
    [strict] = [each for each in folder.iterdir() if re.match(rf"v{VERSION}.*strict", each.name)]
    definitions = json.loads((strict / "_definitions.json").read_text(encoding="utf-8"))
    container = definitions["$defs"]["io.k8s.api.core.v1.Container"]
    asked = json.dumps(kserve_schema.schema(container))
    asked = json.loads(asked.replace('"#/$defs', f'"{definitions["$id"]}#/$defs'))
    registry = referencing.Resource.from_contents(definitions) @ referencing.Registry()
    validator = jsonschema.Draft202012Validator(asked, registry=registry)
    return lambda document: [error.message for error in validator.iter_errors(document)]


def test_the_inference_service_fits_its_schema(kserve_errors):
    document = load(DEPLOY / "kserve.yaml")
    assert kserve_errors(document) == []
    for path, name in (
        (["spec"], "predictr"),
        (["spec", "predictor"], "minReplica"),
        (["spec", "predictor", "model"], "storageURI"),
        (["spec", "predictor", "model", "readinessProbe"], "httpget"),
        (["spec", "predictor", "model", "resources"], "limit"),
    ):
        wrong = copy.deepcopy(document)
        place = wrong
        for key in path:
            place = place[key]
        place[name] = {}
        assert name in str(kserve_errors(wrong)), name


# --- the guide, and the contract tests --------------------------------------------------------


def test_the_guide_names_every_file_and_only_files_that_exist():
    guide = text("README.md")
    named = set(re.findall(r"`([\w/.-]+\.(?:config|ya?ml)|kubernetes/)`", guide))
    there = {path.name for path in DEPLOY.iterdir() if path.is_file()} - {"README.md"}
    assert named == there | {"kubernetes/"}
    for path in re.findall(r"(?:tests|deploy)/[\w/.-]+", guide):
        assert (ROOT / path).exists(), path
    assert "Not run here" in guide
    assert len(guide.split()) < 500  # two minutes on a phone


def test_the_names_of_the_guide_are_those_of_the_files():
    guide = text("README.md")
    [model] = config("models.config").model_config_list.config
    assert f'model="{model.name}", label="stable"' in guide
    assert f"`{load(DEPLOY / 'kubernetes/models_volume.yaml')['metadata']['name']}`" in guide
    service = load(DEPLOY / "kubernetes/service.yaml")
    [port] = [each["port"] for each in service["spec"]["ports"] if each["name"] == "grpc"]
    assert f"dns:///{service['metadata']['name']}:{port}" in guide
    assert f":8501{config('monitoring.config').prometheus_config.path}" in guide


SCRIPT = ROOT / "tests/serving/against_tf_serving.sh"


def test_the_contract_script_says_how_it_is_used():
    done = subprocess.run([SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Usage: tests/serving/against_tf_serving.sh HOST [NAME]" in done.stderr


@pytest.mark.slow
def test_the_contract_script_asks_the_host_it_is_given(server):
    """The whole way, for one test: the server here is the stand-in."""
    port = server.rpartition(":")[2]
    done = subprocess.run(
        [SCRIPT, "127.0.0.1", stand_in.NAME],
        env={
            **os.environ,
            "REST_PORT": port,
            "PYTHON": sys.executable,
            "PYTEST_ADDOPTS": "-k 'a_version_is_available and rest'",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 passed" in done.stdout, done.stdout + done.stderr
