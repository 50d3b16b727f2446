# Needs: Rust, Python 3.10 or later, GNU make. `make help` lists the verbs.
# Python packages come from wherever pip is configured to look; cargo's folder from CARGO_TARGET_DIR.

PYTHON ?= python3
CARGO ?= cargo
ARCH ?= $(shell uname -m | sed -e s/aarch64/arm64/)
STACK ?= tourniquet

VENV := .venv
LINT := .tools/lint
FUZZ := .tools/cargo-fuzz
FUZZ_SECONDS ?= 60
FUZZ_TARGET ?= event guardrails chain
LAB := PYTHONPATH=tests $(VENV)/bin/python
CLI := $(CARGO) run -q --locked -p tourniquet-cli --
SAM := SAM_CLI_TELEMETRY=0 PATH="$(CURDIR)/$(LINT)/bin:$$PATH" sam

.DEFAULT_GOAL := help
.PHONY: help demo test check supply-chain advisories fuzz unit integration bench lint-template replay explain \
  verify-case report approve release verify-snapshot lab deploy build tools lint-tools clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: tools build ## watch a stolen key and an instance being cut off, in the lab
	@$(LAB) -m lab.demo

# One after the other even under -j, and pytest last: the run ends with its count.
test: ## everything: check, lint-template, unit, integration
	@$(MAKE) --no-print-directory check
	@$(MAKE) --no-print-directory lint-template
	@$(MAKE) --no-print-directory unit
	@$(MAKE) --no-print-directory integration

check: supply-chain ## formatting, clippy, and the supply chain
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --all-features --locked -- -D warnings

supply-chain: lint-tools ## no known advisory, no unused dependency, no legacy TLS stack; offline
	@CARGO="$(CARGO)" $(LINT)/bin/python tests/supply_chain.py

# The clone stays in .tools/advisory-db, where the check finds it. RUSTSEC_DB=folder: from a checkout you have already.
advisories: lint-tools ## renew tests/advisories.toml from the RustSec database; needs a network
	@$(LINT)/bin/python tests/supply_chain.py advisories

# Bounded: FUZZ_SECONDS a target. Needs a nightly compiler; what is found stays in fuzz/artifacts.
fuzz: $(FUZZ)/bin/cargo-fuzz ## look for input that breaks a parser: [FUZZ_SECONDS=60] [FUZZ_TARGET=event]
	@for target in $(FUZZ_TARGET); do \
	  case $$target in \
	    event) seeds='events $(wildcard ../shared/corpus)';; \
	    guardrails) seeds=.lab/fuzz-guardrails; mkdir -p $$seeds; cp infra/guardrails.toml $$seeds;; \
	    *) seeds=fuzz/seeds/$$target;; \
	  esac; \
	  words=; test ! -f fuzz/dictionaries/$$target.dict || words=-dict=fuzz/dictionaries/$$target.dict; \
	  mkdir -p fuzz/corpus/$$target; \
	  PATH="$(CURDIR)/$(FUZZ)/bin:$$PATH" $(CARGO) +nightly fuzz run -s none $$target fuzz/corpus/$$target $$seeds -- \
	    $$words -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 || exit 1; \
	done

$(FUZZ)/bin/cargo-fuzz:
	$(CARGO) install --root $(FUZZ) cargo-fuzz --version 0.13.2 --locked

unit: ## the Rust tests
	@if $(CARGO) nextest --version >/dev/null 2>&1; then \
	  $(CARGO) nextest run --workspace --locked && $(CARGO) test --workspace --locked --doc; \
	else \
	  $(CARGO) test --workspace --locked; \
	fi

# A lab is one process and so fills one core: what makes most calls runs beside the rest, in labs of its own.
APART := tests/test_faults.py tests/test_faults_seal.py tests/test_faults_register.py tests/test_faults_recheck.py \
  tests/test_faults_release.py tests/test_concurrency.py tests/test_concurrency_instance.py

# Built as `unit` builds: with other features the EC2 crate would be compiled a second time.
integration: tools ## the tests against the lab, in two processes; with ARGS="-k name" for pytest in one
	@$(CARGO) build --workspace --bins --tests --locked
	@$(if $(strip $(ARGS)),$(LAB) -m pytest tests $(ARGS),$(IN_TWO))

define IN_TWO
mkdir -p .lab; \
$(LAB) -m pytest -p no:cacheprovider $(APART) >.lab/apart.log 2>&1 & apart=$$!; \
trap 'kill $$apart; exit 130' INT TERM; \
$(LAB) -m pytest tests $(APART:%=--ignore=%); ended=$$?; \
echo 'The tests that run apart:'; \
wait $$apart || ended=1; \
cat .lab/apart.log; \
exit $$ended
endef

# Everything it needs for the comparison goes into .tools/bench; nothing here is part of `make test`.
bench: tools ## measure against boto3 and Cloud Custodian: [BENCH_N=10] [BENCH_LEVERS=1: builds of several minutes each]
	@$(call venv,.tools/bench,bench/requirements.txt)
	@CARGO="$(CARGO)" BENCH_N="$(or $(BENCH_N),10)" BENCH_LEVERS="$(BENCH_LEVERS)" PYTHONPATH=tests:. \
	  $(VENV)/bin/python -m bench

lint-template: lint-tools ## cfn-lint and sam validate; offline
	@$(LINT)/bin/cfn-lint
	@AWS_DEFAULT_REGION=$${AWS_DEFAULT_REGION:-us-east-1} $(SAM) validate --lint -t infra/template.yaml

replay: tools lint-tools ## run one event through cargo lambda against a lab of its own: EVENT=events/...
	@test -n "$(EVENT)" || { echo 'usage: make replay EVENT=events/<function>/<event>.json' >&2; exit 2; }
	@PATH="$(CURDIR)/$(LINT)/bin:$$PATH" $(LAB) -m lab.replay "$(EVENT)"

explain: ## what would be done about an event, and why: EVENT=events/... [JSON=1]
	@test -n "$(EVENT)" || { echo 'usage: make explain EVENT=events/contain-identity/<event>.json [JSON=1]' >&2; exit 2; }
	@$(CLI) explain "$(EVENT)" $(if $(JSON),--json)

verify-case: ## check the hash chain of a case: CASE=...
	@test -n "$(CASE)" || { echo 'usage: make verify-case CASE=<case>' >&2; exit 2; }
	@$(CLI) verify-case "$(CASE)"

report: ## the case report as a page to print, its chain checked: CASE=... [FILE=<case>.html]
	@test -n "$(CASE)" || { echo 'usage: make report CASE=<case> [FILE=<case>.html]' >&2; exit 2; }
	@$(CLI) report "$(CASE)" --output "$(or $(FILE),$(CASE).html)"

# As the message of the proposal prints it: PLAN names the plan you read there.
approve: ## carry out what a case proposes: CASE=... PLAN=... [FUNCTION=contain-identity]
	@test -n "$(CASE)" && test -n "$(PLAN)" || \
	  { echo 'usage: make approve CASE=<case> PLAN=<digest in the message> [FUNCTION=contain-instance]' >&2; exit 2; }
	@aws lambda invoke --function-name "$(or $(FUNCTION),contain-identity)" --cli-binary-format raw-in-base64-out \
	  --payload '{"approve": {"case": "$(CASE)", "plan": "$(PLAN)"}}' /dev/stdout

comma := ,
listed = $(if $(1),["$(subst $(comma),"$(comma)",$(1))"],[])

release: ## show what undoing a case would do, and do it at the second time: CASE=... [FORCE=step,...] [REACTIVATE=key,...]
	@test -n "$(CASE)" || \
	  { echo 'usage: make release CASE=<case> [FORCE=isolate_interface,...] [REACTIVATE=<key id>,...] [MODE=show|do]' >&2; exit 2; }
	@aws lambda invoke --function-name release --cli-binary-format raw-in-base64-out --cli-read-timeout 150 \
	  --payload '{"release": {"case": "$(CASE)", $(if $(MODE),"mode": "$(MODE)"$(comma)) "force": $(call listed,$(FORCE)), "reactivate": $(call listed,$(REACTIVATE))}}' \
	  /dev/stdout

verify-snapshot: ## recompute a snapshot's hash: SNAPSHOT=snap-... MANIFEST=file or key of the case bucket [CONTENT=1]
	@test -n "$(SNAPSHOT)" && test -n "$(MANIFEST)" || \
	  { echo 'usage: make verify-snapshot SNAPSHOT=snap-... MANIFEST=cases/<case>/snapshots/snap-....json [CONTENT=1]' >&2; exit 2; }
	@$(CLI) verify-snapshot "$(SNAPSHOT)" --manifest "$(MANIFEST)" $(if $(CONTENT),--content)

lab: tools ## a lab in the foreground; its address goes to .lab/ready.json
	@mkdir -p .lab
	@$(LAB) -m lab serve --port 0 --ready-file .lab/ready.json

# As the template names them.
FUNCTIONS := ContainIdentity ContainInstance SealSnapshot Recheck Release RegisterActions

# The first deployment asks and writes samconfig.toml; later ones read it. Guardrails are checked before anything
# else: an invalid file would turn every containment into a proposal.
deploy: lint-tools ## build and deploy to AWS, then upload the guardrails: [ARCH=arm64|x86_64] [STACK=tourniquet]
	@$(CLI) check-guardrails infra/guardrails.toml
	@if ! command -v zig >/dev/null 2>&1 && ! $(LINT)/bin/python -c 'import ziglang' 2>/dev/null; then \
	  echo 'No zig found: building with this machine'"'"'s own compiler and C library.'; \
	  CARGO_LAMBDA_COMPILER=cargo; export CARGO_LAMBDA_COMPILER; \
	fi; \
	$(SAM) build -t infra/template.yaml --parameter-overrides Architecture=$(ARCH)
	@if command -v objdump >/dev/null 2>&1; then \
	  for function in $(FUNCTIONS); do \
	    newest=$$(objdump -T .aws-sam/build/$$function/bootstrap 2>/dev/null \
	      | grep -o 'GLIBC_[0-9.]*' | sort -V | tail -1); \
	    if [ "$$(printf '%s\n' GLIBC_2.34 $$newest | sort -V | tail -1)" != GLIBC_2.34 ]; then \
	      echo "The binary of $$function needs $$newest, Lambda has GLIBC_2.34: install zig and build again." >&2; exit 1; \
	    fi; \
	  done; \
	fi
	@if [ -s samconfig.toml ]; then guided=; else : > samconfig.toml; guided='--guided --stack-name $(STACK)'; fi; \
	saved=$$($(LINT)/bin/python -c "$$SAVED_PARAMETERS" samconfig.toml) || exit 1; \
	$(SAM) deploy --config-file "$(CURDIR)/samconfig.toml" --template-file .aws-sam/build/template.yaml $$guided \
	  --capabilities CAPABILITY_IAM --resolve-s3 --parameter-overrides "$$saved Architecture=$(ARCH)"
	@$(LINT)/bin/python -c "$$UPLOAD_GUARDRAILS" samconfig.toml $(STACK) infra/guardrails.toml

# Parameters given to SAM replace the saved ones, all of them: so the saved ones are given, too. The last of two counts.
define SAVED_PARAMETERS
import sys
import tomlkit
with open(sys.argv[1], encoding="utf-8") as file:
    saved = tomlkit.load(file).get("default", {})
settings = {**saved.get("global", {}).get("parameters", {}), **saved.get("deploy", {}).get("parameters", {})}
parameters = settings.get("parameter_overrides", "")
if isinstance(parameters, dict):
    parameters = [f'{name}="{value}"' for name, value in parameters.items()]
print(parameters if isinstance(parameters, str) else " ".join(parameters))
endef
export SAVED_PARAMETERS

define UPLOAD_GUARDRAILS
import sys
import boto3
import tomlkit
config, stack, path = sys.argv[1:]
with open(config, encoding="utf-8") as file:
    saved = tomlkit.load(file).get("default", {})
settings = {**saved.get("global", {}).get("parameters", {}), **saved.get("deploy", {}).get("parameters", {})}
session = boto3.Session(region_name=settings.get("region"), profile_name=settings.get("profile"))
stacks = session.client("cloudformation").describe_stacks(StackName=settings.get("stack_name", stack))["Stacks"]
outputs = {output["OutputKey"]: output["OutputValue"] for output in stacks[0]["Outputs"]}
with open(path, "rb") as body:
    session.client("s3").put_object(
        Bucket=outputs["CaseBucketName"], Key="guardrails.toml", Body=body, ChecksumAlgorithm="SHA256"
    )
print("Guardrails are in force: s3://" + outputs["CaseBucketName"] + "/guardrails.toml")
endef
export UPLOAD_GUARDRAILS

build: ## debug build of the workspace
	@$(CARGO) build --workspace --locked

tools: ## Python packages of the lab and the tests, into .venv
	@$(call venv,$(VENV),tests/requirements.txt)

lint-tools: ## cfn-lint, sam and cargo-lambda, into .tools/lint
	@$(call venv,$(LINT),tests/requirements-lint.txt)

clean: ## remove .venv, .tools, .lab, .aws-sam and caches; not cargo's target folder
	rm -rf $(VENV) .tools .lab .aws-sam .pytest_cache
	find tests -name __pycache__ -type d -prune -exec rm -rf {} +

# $(call venv,folder,requirements): nothing to do while the stamp is that of these requirements, this Python
# and this place. --no-deps, because the hash-pinned list is complete.
define venv
want=$$({ cat $(2); $(PYTHON) --version; pwd; } 2>&1 | cksum); \
if [ "$$(cat $(1)/.stamp 2>/dev/null)" = "$$want" ]; then exit 0; fi; \
$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null \
  || { echo 'Python 3.10 or later is needed, and $(PYTHON) is not: make PYTHON=/path/to/python3' >&2; exit 1; }; \
echo 'Installing $(1), once: $(2)'; \
rm -rf $(1); \
$(PYTHON) -m venv $(1) \
  || { echo 'Cannot create a virtual environment with $(PYTHON) (Debian and Ubuntu: apt install python3-venv).' >&2; \
    exit 1; }; \
$(1)/bin/python -m pip install --disable-pip-version-check --require-hashes --no-deps -r $(2) \
  || { echo 'pip could not install $(2); its reason is above.' >&2; rm -rf $(1); exit 1; }; \
echo "$$want" > $(1)/.stamp
endef
