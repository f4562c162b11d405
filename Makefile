# Daily work: `make` alone lists it. Needs GNU Make 3.81 (which macOS has) or newer.

ARCH       ?= arm64
TARGET_OS   = linux
ENV        ?= default
PARAMETERS ?=
EVENT      ?= events/webhook-document-created.json
FUZZTIME   ?= 1m
SCHEDULES  ?= 1000000
DURATION   ?= 2m
SEED       ?=
ROUNDS     ?=
PARTS      ?=
PACKAGES   ?= ./functions/... ./shared/... ./deployment/... ./cmd/intake
BASE       ?=
PYTHON     ?= python3

MAKEFLAGS += --no-builtin-rules --no-print-directory
export GOTOOLCHAIN := local
export SAM_CLI_TELEMETRY := 0
# As given: neither make nor a shell expands a value.
override PARAMETERS := $(value PARAMETERS)
export PARAMETERS

# Tools are installed once, in .tools. Their names contain what they depend on, so that a
# new version is a new file. A virtual environment depends on its own path, too.
gotestsum     := .tools/bin/gotestsum@v1.13.0
golangci-lint := .tools/bin/golangci-lint@v2.15.0
govulncheck   := .tools/bin/govulncheck@v1.9.0
licence-detector := .tools/bin/go-licence-detector@v0.11.1
venv          := .tools/venv/installed-$(firstword $(shell (pwd; cat local/requirements.txt) | cksum))
sam           := .tools/venv/bin/sam
cfn-lint      := .tools/venv/bin/cfn-lint
zizmor        := .tools/venv/bin/zizmor

build-dir  := .aws-sam/build
host-arch  := $(if $(filter arm64 aarch64,$(shell uname -m)),arm64,x86_64)
# The build writes down which architecture it was for.
parameters = --parameter-overrides file://$(build-dir)/architecture.toml

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo 'ARCH=$(ARCH) (or x86_64)  ENV=$(ENV) (or sandbox, prod)  EVENT=$(EVENT)'
	@echo 'SCHEDULES=$(SCHEDULES)  DURATION=$(DURATION)  SEED=$(SEED) (any, if empty)'
	@echo 'ROUNDS=$(ROUNDS) (9, if empty)  PARTS=$(PARTS) (micro functions pipeline sizes, if empty)'
	@echo 'PACKAGES="$(PACKAGES)"  BASE=$(BASE) (a commit: only what has changed since)'
	@echo 'FUZZTIME=$(FUZZTIME)  PYTHON=$(PYTHON)  PARAMETERS="LogRetentionDays=90 ..." (a stack keeps them)'

# On this machine.

run: need-go ## run the whole stack once: sample webhooks in, rows out
	@go build -o .build/local ./local && exec .build/local run

dev: need-go ## run the whole stack until Ctrl-C, for your own webhooks
	@go build -o .build/local ./local && exec .build/local dev

# `sam local` runs a function in Docker, for this machine's architecture: it has its own
# build folder. SAM CLI wants credentials and gets none of yours.
invoke start-api: ARCH := $(host-arch)
invoke start-api: build-dir := .build/sam
sam-local = env -u AWS_PROFILE -u AWS_SESSION_TOKEN AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local \
	AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1 AWS_EC2_METADATA_DISABLED=true \
	AWS_ENDPOINT_URL=http://127.0.0.1:8081 $(sam) local
sam-local-options = --template $(build-dir)/template.yaml --config-file '$(CURDIR)/samconfig.toml' $(parameters)

invoke: build ## send EVENT to its function in Docker, with `make dev` running
	@case $(notdir $(EVENT)) in reconciler*) function=Reconciler ;; *) function=Webhook ;; esac; \
	! grep -q '"Records"' $(EVENT) || function=Processor; \
	exec $(sam-local) invoke $${function}Function --event $(EVENT) $(sam-local-options)

start-api: build ## serve the webhook in Docker on port 3000, with `make dev` running
	@exec $(sam-local) start-api $(sam-local-options)

# Checks. `make test` tests one package at a time: several start a stack each, and measure
# rates. Schedules and allocations are tested without the race detector, which is too
# slow for the former and changes the latter.

check: $(golangci-lint) ## the quick checks while you work: vet, lint, the unit tests of what users run
	@$(call quietly,go vet ./...)
	@$(golangci-lint) run ./functions/... ./shared/... ./deployment/... ./cmd/...
	@$(call quietly,go test ./functions/... ./shared/... ./deployment/...)

test: need-java $(venv) $(gotestsum) ## check code and template, run all tests
	@$(call quietly,go vet ./...)
	@$(call quietly,$(cfn-lint) template.yaml)
	@$(call quietly,$(sam) validate --lint)
	@race=-race; go list -race ./shared/event >/dev/null 2>&1 || \
	{ race=; echo 'Without the race detector: it needs a C compiler.'; }; \
	$(gotestsum) --format none -- -count=1 -vet=off -p 1 $$race ./...
	@$(gotestsum) --format none -- -count=1 -vet=off -run '^TestSchedules$$|Budget|Allocat' ./proof/simulation ./shared/...

fuzz: need-go ## run each fuzz target for FUZZTIME
	@for package in $$(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n 1 dirname | sort -u); do \
		list=$$(go test -list '^Fuzz' $$package) || exit 1; \
		for name in $$(echo "$$list" | grep '^Fuzz'); do \
			echo "$$package $$name"; \
			go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) $$package || exit 1; \
		done; \
	done

simulate: need-go ## run SCHEDULES simulated schedules, and a six-hour outage in full
	@go test -count=1 -timeout 0 -run '^(TestSchedules|TestOutageOfSixHours)$$' ./proof/simulation -args -schedules=$(SCHEDULES) $(if $(SEED),-seed=$(SEED)) -full -progress

chaos: need-go ## run the stack with faults for DURATION, and check that nothing is lost
	@go build -o .build/proof ./proof && exec .build/proof chaos --duration $(DURATION) $(if $(SEED),--seed $(SEED))

mutants: need-go need-java ## break the code in a hundred ways, and show which test notices
	@go build -o .build/proof ./proof && exec .build/proof mutants

mutation: need-go need-java ## break PACKAGES in every small way, and show what their tests do not notice
	@go build -o .build/proof ./proof && exec .build/proof mutation $(if $(BASE),--base $(BASE)) $(PACKAGES)

bench: need-go need-java ## measure the functions, compared with others
	@$(MAKE) $(venv) || echo 'Without Python, nothing is compared with a receiver in Python.'
	@go build -o .build/proof ./proof && exec .build/proof bench $(if $(ROUNDS),--rounds $(ROUNDS)) $(PARTS)

cost: need-go ## compute what a million documents a month cost on AWS
	@go run ./proof cost

lint: $(golangci-lint) $(govulncheck) $(licence-detector) $(venv) ## check style, likely bugs, known vulnerabilities, licences and workflows
	@go mod tidy -diff
	@$(golangci-lint) run
	@$(call quietly,$(zizmor) --offline --no-progress --pedantic .github/workflows)
	@$(MAKE) licenses licences=.build/licences
	@diff THIRD_PARTY_LICENSES .build/licences || { echo 'THIRD_PARTY_LICENSES is out of date: make licenses' >&2; exit 1; }
	@out=$$($(govulncheck) ./... 2>&1) && exit; \
	case $$out in \
	*'fetching vulnerabilities'*) echo 'govulncheck skipped: its database is out of reach.' ;; \
	*) printf '%s\n' "$$out" >&2; exit 1 ;; \
	esac

validate: $(venv) ## check template.yaml
	@$(cfn-lint) template.yaml
	@$(sam) validate --lint

# The modules that are linked into what users run, the same on all systems. One in the
# folder of another has that one's licence.
shipped = GOOS=linux CGO_ENABLED=0 go list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}}{{end}}{{end}}' ./functions/... ./cmd/... | \
	LC_ALL=C sort -u | awk 'above == "" || index($$0, above "/") != 1 { print; above = $$0 }'
licences := THIRD_PARTY_LICENSES

licenses: need-go $(licence-detector) ## write THIRD_PARTY_LICENSES anew
	@mkdir -p .build
	@modules=$$($(shipped)) && go list -m -json $$modules | \
		$(licence-detector) -includeIndirect -noticeTemplate .ci/licenses.tmpl -noticeOut $(licences) && \
	go list -m -f '{{.Path}} {{.Dir}}' $$modules | while read -r module folder; do \
		for notice in $$folder/NOTICE*; do \
			test ! -f $$notice || { printf '\n%s\n\n' "The notice of $$module:" && cat $$notice; }; done; done >>$(licences)

# To AWS.

build: need-go $(venv) ## build all functions for ARCH
	@$(call quietly,MAKEFLAGS= MAKELEVEL= ARCH=$(ARCH) $(sam) build --build-dir $(build-dir) --parameter-overrides Architecture=$(ARCH))
	@echo 'Built the functions for $(ARCH) in $(build-dir).'

deploy: build ## build, and deploy to the environment ENV of samconfig.toml
	@go build -o .build/deploy ./cmd/deploy && exec .build/deploy template.yaml $(sam) deploy --config-env $(ENV) $(parameters)

clean: ## remove what was built; .tools stays
	rm -rf .build .aws-sam

# The one place where functions are built, called by SAM, the local stack and the tests:
# - static, so that they do not depend on another system's C library;
# - without paths, so that the same source makes the same bytes, and a deployment without
#   a change changes nothing;
# - without Go's old RPC and HTTP/2, which nothing here uses and which take 0.4 MB;
# - with AWS's packages and math/big not inlined, which saves 0.1 to 0.3 MB. Only the
#   reading of certificates uses math/big.
build-WebhookFunction: need-go
	@$(call go-build,webhook)

build-ProcessorFunction: need-go
	@$(call go-build,processor)

build-ReconcilerFunction: need-go
	@$(call go-build,reconciler)

GOARCH-arm64  := arm64
GOARCH-x86_64 := amd64
go-build = CGO_ENABLED=0 GOOS=$(TARGET_OS) GOARCH=$(or $(GOARCH-$(ARCH)),$(error ARCH is '$(ARCH)': it can be arm64 or x86_64)) \
	go build -gcflags='github.com/aws/...=-l' -gcflags='math/big=-l' -tags lambda.norpc,nethttpomithttp2 -trimpath -buildvcs=false -ldflags '-s -w' -o '$(ARTIFACTS_DIR)/bootstrap' ./functions/$(1) && \
	echo 'Architecture = "$(ARCH)"' >'$(ARTIFACTS_DIR)/../architecture.toml'

# Tools.

quietly = out=$$($(1) 2>&1) || { printf '%s\n' "$$out" >&2; exit 1; }

$(venv): | need-python
	@echo 'Setting up SAM CLI, cfn-lint and zizmor in .tools/venv, once (about a minute).'
	@rm -rf $(@D) && $(PYTHON) -m venv $(@D)
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r local/requirements.txt
	@touch $@

.tools/bin/gotestsum@%:     package := gotest.tools/gotestsum
.tools/bin/golangci-lint@%: package := github.com/golangci/golangci-lint/v2/cmd/golangci-lint
.tools/bin/govulncheck@%:   package := golang.org/x/vuln/cmd/govulncheck
.tools/bin/go-licence-detector@%: package := go.elastic.co/go-licence-detector
.tools/bin/%: | need-go
	@echo 'Building $* in .tools/bin, once$(if $(findstring golangci,$*), (a minute or two)).'
	@GOBIN='$(CURDIR)/$@.new' go install $(package)@$(lastword $(subst @, ,$*))
	@mv $@.new/* $@ && rmdir $@.new

go-version := $(shell awk '/^go / { print $$2 }' go.mod)

need-go:
	@go list -m >/dev/null 2>&1 || { echo 'Go $(go-version) or newer is missing: install it from https://go.dev/dl, and run this again.' >&2; exit 1; }

need-python:
	@$(PYTHON) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	{ echo 'Python 3.11 or newer with its venv module is missing: install it (Debian: apt install python3-venv; macOS: brew install python), or name another with PYTHON=...' >&2; exit 1; }

need-java:
	@command -v java >/dev/null || { echo 'Java is missing: install Java 17 or newer (Debian: apt install default-jre-headless; macOS: brew install openjdk).' >&2; exit 1; }
	@test -d .tools/emulators || command -v mvn >/dev/null || { echo 'Maven is missing: install it (Debian: apt install maven; macOS: brew install maven).' >&2; exit 1; }

.PHONY: help run dev invoke start-api check test simulate chaos mutants mutation fuzz bench cost lint licenses validate build deploy clean \
	build-WebhookFunction build-ProcessorFunction build-ReconcilerFunction need-go need-python need-java
