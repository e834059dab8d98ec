# Bachbox: `make play` plays, `make test` checks. `make help` lists the rest.

PYTHON ?= python3
VENV ?= .venv
TRAIN_PYTHON ?= python3.11
TRAIN_VENV ?= .venv-train
KERAS_VENV ?= .venv-keras
AUDIT_VENV ?= .venv-audit
# Home Assistant 2026.2 needs Python 3.13.2 or later.
HASS_PYTHON ?= python3.13
HASS_VENV ?= .venv-homeassistant
HASS_VERSION ?= 2026.2.3
# Arguments that `make play` passes on: make play ARGS="--instrument 'church organ' --tempo 96"
ARGS ?=
MODEL ?= chorales
# `make deb`: for which Debian and machine. `make test-systemd`: whether to install the package or from source.
SUITE ?=
ARCH ?=
WAY ?= package
# Further scores for `make train` and `make evaluate`: make train MODEL=jsb16 DATA=folder
DATA ?=
HOURS ?= 2
MINUTES ?= 10
# `make test TIER=unit`: one tier alone; there are unit, process, sound and debian.
TIER ?=

PIP := -m pip --disable-pip-version-check --quiet
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/bachbox
SOURCES := appliance tests $(wildcard benchmarks)

.DEFAULT_GOAL := help
.PHONY: help play test test-long coverage test-homeassistant test-training bench soak fuzz audit install deb addon image uninstall test-systemd test-machine train teach correct workshop evaluate card facts quality listen edgetpu lint lint-style lint-types lint-layers clean system-packages always

help: ## print this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1 \t/p' $(MAKEFILE_LIST)

play: $(VENV)/.play ## play on the sound card, or into bachbox.wav if there is none
	@exec $(VENV)/bin/bachbox play --fallback wav:bachbox.wav $(ARGS)

test: $(if $(TIER),$(VENV)/.dev,lint) ## check style, types and layers, and run all tests; as root, on a booted Debian too
	@VENV=$(VENV) tests/run.sh $(TIER) $(ARGS)

test-long: $(VENV)/.dev ## run the unit tests with ten times as many examples, different ones each time
	HYPOTHESIS_PROFILE=long VENV=$(VENV) tests/run.sh unit --timeout=3600 $(ARGS)

coverage: $(VENV)/.dev ## measure which Python and JavaScript the tests run
	@rm -rf build/coverage && mkdir -p build/coverage
	BACHBOX_JAVASCRIPT_COVERAGE=build/coverage/javascript $(VENV)/bin/coverage run -m pytest --numprocesses=auto --dist=loadscope --no-loadscope-reorder $(ARGS)
	@$(VENV)/bin/coverage combine --quiet
	@$(VENV)/bin/coverage report --omit='appliance/training/*' --sort=cover
	@BACHBOX_JAVASCRIPT_COVERAGE=build/coverage/javascript $(VENV)/bin/python -m tests.support.javascript
	@echo "All of appliance but training: $$($(VENV)/bin/coverage report --omit='appliance/training/*' --format=total) %"
	@echo "appliance/training: $$($(VENV)/bin/coverage report --include='appliance/training/*' --format=total) %"

test-homeassistant: $(VENV)/.dev $(HASS_VENV)/.$(HASS_VERSION) ## test against the real Home Assistant
	HASS=$(HASS_VENV)/bin/hass $(VENV)/bin/python -m pytest tests/acceptance/homeassistant.py $(ARGS)

test-training: $(TRAIN_VENV)/.train ## train, convert and play tiny models
	@$(TRAIN_VENV)/bin/python $(PIP) install 'pytest>=8,<10' 'pytest-timeout>=2.3,<3' 'pytest-xdist>=3.6,<4' 'hypothesis>=6.100,<7' 'psutil>=6,<8'
	$(TRAIN_VENV)/bin/python -m pytest -n 2 tests/acceptance/training.py tests/acceptance/corrections.py tests/acceptance/two_sample.py $(ARGS)

test-systemd: | system-packages ## install on a fresh Debian, boot it, and break things (root; WAY=source: by make install; SUITE=bookworm)
	@SUITE=$(SUITE) tests/systemd/run.sh $(WAY)

test-machine: $(VENV)/.dev ## test on whole machines in QEMU: sound, power cuts, knobs, the card image (root; up to an hour; not in CI)
	@for tool in qemu-system-x86_64 qemu-system-aarch64 mmdebstrap lintian mcopy mkfs.vfat sfdisk arch-test; do command -v $$tool >/dev/null || { \
	  echo "$$tool is missing; apt install qemu-system-x86 qemu-system-arm qemu-user-static mmdebstrap lintian mtools dosfstools fdisk arch-test" >&2; exit 1; }; done
	nice $(VENV)/bin/python -m tests.machine $(ARGS)

lint: $(VENV)/.dev ## check style, types and layers
	@$(MAKE) --no-print-directory --jobs=3 --output-sync=target lint-style lint-types lint-layers

lint-style:
	$(VENV)/bin/ruff check $(SOURCES)
	$(VENV)/bin/ruff format --check $(SOURCES)

lint-types:
	$(VENV)/bin/mypy --cache-dir $(CACHE)/mypy

lint-layers:
	$(VENV)/bin/lint-imports

install: ## sudo make install: install as a systemd service, under /opt/bachbox
	@deploy/install.sh

deb: ## build a Debian package for this machine; for another one, sudo make deb SUITE=trixie ARCH=arm64
	@deploy/deb.sh $(SUITE) $(ARCH)

addon: ## make the Home Assistant app, in build/homeassistant-addon (root; ARCH=arm64 for a Raspberry Pi)
	@package=$$(deploy/deb.sh trixie $(ARCH)) && rm -rf build/homeassistant-addon && cp -r deploy/homeassistant-addon build/ && \
	  cp "$$package" build/homeassistant-addon/bachbox.deb && echo build/homeassistant-addon

image: ## build an SD card image for a Raspberry Pi 3 or 4 (root)
	@deploy/image.sh

uninstall: ## sudo make uninstall: remove the service, but not its config in /etc/bachbox
	@deploy/install.sh --remove

bench: $(VENV)/.dev $(KERAS_VENV)/.keras ## measure speed, memory and latency on this machine
	$(VENV)/bin/python -m benchmarks --keras-python $(KERAS_VENV)/bin/python $(ARGS)

fuzz: $(VENV)/.dev ## make fuzz MINUTES=10: fuzz each reader of people's files for so long
	@$(VENV)/bin/python $(PIP) install 'atheris>=3,<4'
	$(VENV)/bin/python -m tests.fuzz --minutes $(MINUTES) $(ARGS)

soak: $(VENV)/.dev ## make soak HOURS=2: play for hours, measure every minute, write build/soak
	$(VENV)/bin/python -m benchmarks.soak --hours $(HOURS) $(ARGS)

audit: ## look for known vulnerabilities in the pinned packages (needs pypi.org)
	@[ -x $(AUDIT_VENV)/bin/pip-audit ] || { $(PYTHON) -m venv $(AUDIT_VENV) && \
	  $(AUDIT_VENV)/bin/python $(PIP) install 'pip-audit>=2.9,<3'; }
	@for lock in deploy/lock/*.txt; do echo "$$lock"; \
	  $(AUDIT_VENV)/bin/pip-audit --strict --require-hashes --disable-pip --requirement "$$lock" || exit; done

train: $(TRAIN_VENV)/.train ## make train MODEL=chorales: train a model, into models/chorales.tflite
	$(TRAIN_VENV)/bin/python -m appliance.training $(MODEL) $(if $(DATA),--data $(DATA)) $(ARGS)

teach: $(TRAIN_VENV)/.train ## make teach MODEL=keyboard: teach a model what a critic of its music prefers
	$(TRAIN_VENV)/bin/python -m appliance.training $(MODEL) --teach $(if $(DATA),--data $(DATA)) $(ARGS)

correct: $(TRAIN_VENV)/.train ## make correct MODEL=keyboard: correct a model's logits, so that its music has the habits of real music
	$(TRAIN_VENV)/bin/python -m appliance.training $(MODEL) --correct $(if $(DATA),--data $(DATA)) $(ARGS)

workshop: $(TRAIN_VENV)/.train ## install what `bachbox train` needs, into .venv-train

evaluate: $(TRAIN_VENV)/.train ## make evaluate MODEL=chorales: evaluate a model on its held-out pieces
	$(TRAIN_VENV)/bin/python -m appliance.training $(MODEL) --evaluate $(if $(DATA),--data $(DATA)) $(ARGS)

card: $(TRAIN_VENV)/.train ## make card MODEL=chorales: update the model card inside the model file, from the recipe
	$(TRAIN_VENV)/bin/python -m appliance.training $(MODEL) --card $(if $(DATA),--data $(DATA)) $(ARGS)

facts: $(TRAIN_VENV)/.train ## make facts MODEL=chorales: write what is known of the forms (kind, key, double bar, returns) into the model file
	$(TRAIN_VENV)/bin/python -m appliance.training $(MODEL) --facts $(if $(DATA),--data $(DATA)) $(ARGS)

quality: $(TRAIN_VENV)/.train ## compare every model's music with Bach's, into docs/quality.md
	$(TRAIN_VENV)/bin/python -m appliance.training.evaluate.quality $(if $(DATA),--data $(DATA)) $(ARGS)

listen: $(TRAIN_VENV)/.train ## render a minute of every model, as sound (build/listen) and as a picture
	$(TRAIN_VENV)/bin/python -m appliance.training.evaluate.listening_excerpts $(ARGS)

edgetpu: $(VENV)/.dev ## compile the models for a Coral Edge TPU (needs its compiler)
	$(VENV)/bin/python -m appliance.training.convert.edgetpu $(ARGS)

$(HASS_VENV)/.$(HASS_VERSION): tests/support/homeassistant_requirements.py
	@echo "Installing Home Assistant $(HASS_VERSION) into $(HASS_VENV) (once; several minutes)"
	@rm -rf $(HASS_VENV) && $(HASS_PYTHON) -m venv $(HASS_VENV)
	@$(HASS_VENV)/bin/python $(PIP) install 'homeassistant==$(HASS_VERSION)' $(if $(filter 2024.%,$(HASS_VERSION)),'josepy<2')
	@$(HASS_VENV)/bin/python tests/support/homeassistant_requirements.py >$(HASS_VENV)/requirements.txt
	@$(HASS_VENV)/bin/python $(PIP) install --requirement $(HASS_VENV)/requirements.txt
	@touch $@

clean: ## delete everything that was built or installed here
	rm -rf $(VENV) $(TRAIN_VENV) $(KERAS_VENV) $(AUDIT_VENV) $(HASS_VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find appliance tests -name __pycache__ -prune -exec rm -rf {} +

system-packages:
	@deploy/system-packages.sh $(if $(filter play,$(MAKECMDGOALS)),play,test)

# The environment's interpreter. One named by PYTHON= replaces an environment made with another;
# the stamp is touched only then, and the stamps of installed packages depend on it.
$(VENV)/.python: always | system-packages
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { \
	  echo "Bachbox needs Python 3.11, 3.12 or 3.13; name one with make PYTHON=/path/to/python3.11" >&2; \
	  exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.maxsize < 2**32)' || { \
	  echo "Bachbox needs a 64-bit Python, so a 64-bit system on x86-64 or ARM; this one has 32 bit" >&2; exit 1; }
	@version='import sys; print(*sys.version_info[:2], sep=".")'; \
	asked=$$($(PYTHON) -c "$$version"); \
	[ "$(origin PYTHON)" != file ] || [ ! -e $@ ] || asked=$$(cat $@); \
	[ -x $(VENV)/bin/python ] && [ "$$(cat $@ 2>/dev/null)" = "$$asked" ] || { \
	  echo "Making $(VENV) with Python $$asked"; \
	  rm -rf $(VENV) && $(PYTHON) -m venv $(VENV) && echo $$asked >$@; }

$(VENV)/.play: pyproject.toml $(VENV)/.python
	@echo "Installing Bachbox into $(VENV) (once; about a minute)"
	@$(VENV)/bin/python $(PIP) install --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/.python
	@echo "Installing Bachbox and the tools for its tests into $(VENV) (once; about two minutes)"
	@# Only a fraction of it is ever imported, so Python compiles it then.
	@$(VENV)/bin/python $(PIP) install --no-compile --editable '.[dev]'
	@touch $(VENV)/.play $@

$(TRAIN_VENV)/.train: pyproject.toml | system-packages
	@echo "Installing the training packages into $(TRAIN_VENV) (once; several minutes and gigabytes)"
	@[ -x $(TRAIN_VENV)/bin/python ] || $(TRAIN_PYTHON) -m venv $(TRAIN_VENV)
	@$(TRAIN_VENV)/bin/python $(PIP) install --editable '.[train]'
	@touch $@

# Only for comparison: if it cannot be installed, the benchmark leaves the comparison out.
$(KERAS_VENV)/.keras: pyproject.toml | system-packages
	@echo "Installing TensorFlow into $(KERAS_VENV) (once; several minutes, 2 GB)"
	@{ [ -x $(KERAS_VENV)/bin/python ] || $(TRAIN_PYTHON) -m venv $(KERAS_VENV); } && \
	  $(KERAS_VENV)/bin/python $(PIP) install --editable '.[keras]' && touch $@ || \
	  echo "TensorFlow could not be installed; without it the comparison is left out" >&2
