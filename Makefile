MODULES := events services/tracker

.PHONY: test check
test: ## tests of every module
	@set -e; for m in $(MODULES); do (cd $$m && go test ./...); done

check: ## formatting, vet, and the tests with the race detector
	@test -z "$$(gofmt -l $(MODULES))" || { gofmt -l $(MODULES); exit 1; }
	@set -e; for m in $(MODULES); do (cd $$m && go vet ./... && CGO_ENABLED=1 go test -race ./...); done
