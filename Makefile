# `make` lists what there is. Everything that is built goes to $(BUILD).

BUILD  ?= .build
SWIFT  ?= swift
PYTHON ?= /usr/bin/python3
PREFIX ?= /usr/local
# Options for `sensorhub up`: make run UP="--demo --listen 0.0.0.0:1883"
UP     ?= --demo
# Options for the chaos: make chaos CHAOS="--seed 7"
CHAOS  ?=
# Options for the hardware lab: make hardware-test LAB="--keep Drivers/BH1750/Lab"
LAB    ?=
# How long the fuzzer goes on.
SECONDS ?= 60

release := $(SWIFT) build --scratch-path $(BUILD) --configuration release --static-swift-stdlib
sources := Package.swift Sources Drivers Tests
venv    := $(BUILD)/venv

.DEFAULT_GOAL := help
.PHONY: help bootstrap build install run test unit-tests python-tests integration-tests hardware-test hardware-bench \
	chaos chaos-short fuzz footprint bench recovery supervision tour format lint clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

bootstrap: ## install the Debian packages that are missing (asks for sudo's password then)
	@scripts/bootstrap

build: bootstrap ## build sensorhub, sensorhub-watch and sensor-driver for use, into .build/release
	$(release)

install: ## install what `make build` has built, below $(DESTDIR)$(PREFIX)
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/sensorhub
	install $(BUILD)/release/sensorhub $(BUILD)/release/sensorhub-watch $(BUILD)/release/sensor-driver $(DESTDIR)$(PREFIX)/bin
	install -m 644 schema.sql mosquitto.conf $(DESTDIR)$(PREFIX)/share/sensorhub
	tar --create --exclude=__pycache__ --exclude='*.egg-info' --exclude='.*' --exclude=Python/tests Python Runtimes Examples \
		Drivers/*/*.type.json | tar --extract --no-same-owner --directory $(DESTDIR)$(PREFIX)/share/sensorhub

run: build ## start hub, broker and database under one folder, with two example apps; Ctrl-C stops everything
	$(BUILD)/release/sensorhub up $(UP)

test: unit-tests python-tests integration-tests hardware-test chaos-short ## run all tests

unit-tests: bootstrap ## run the tests in Swift
	$(SWIFT) build --scratch-path $(BUILD) --build-tests
	@# Many of the tests run real processes: a few at a time, so that none starves.
	SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH=4 $(SWIFT) test --scratch-path $(BUILD) --skip-build

python-tests: $(venv)/ready ## run the tests of the platform library for Python
	@# They wait most of the time, as those of the whole hub do: several processes share them.
	cd Python && $(abspath $(venv))/bin/pytest -q -n 4 --dist worksteal

integration-tests: unit-tests $(venv)/ready ## run the tests of the whole hub, with real broker, database and drivers
	@# A file's tests share hubs, so they stay together; Tests/Integration/conftest.py says which files come first.
	SENSORHUB_TEST_BUILD=$(abspath $(BUILD))/debug $(abspath $(venv))/bin/pytest -q -n 3 --dist loadfile \
		--no-loadscope-reorder Tests/Integration

hardware-test: unit-tests $(venv)/ready ## test drivers with real GPIO and I2C devices of a kernel, in a machine under QEMU
	SENSORHUB_TEST_BUILD=$(abspath $(BUILD))/debug SENSORHUB_LAB=$(abspath $(BUILD))/hardware-lab \
		PYTHON=$(abspath $(venv))/bin/python Tests/HardwareLab/run -q $(LAB)

hardware-bench: $(venv)/ready ## measure drivers with the lab's devices, against gpiomon and mqtt-io
	$(release) --product sensor-driver
	SENSORHUB_TEST_BUILD=$(abspath $(BUILD))/release SENSORHUB_LAB=$(abspath $(BUILD))/hardware-lab \
		PYTHON=$(abspath $(venv))/bin/python Tests/HardwareLab/run --bench $(LAB)

chaos: build $(venv)/ready ## kill, freeze and starve a hub over a million readings; then a million malformed payloads
	SENSORHUB_TEST_BUILD=$(abspath $(BUILD))/release $(abspath $(venv))/bin/python Tests/Chaos/chaos.py $(CHAOS)
	SENSORHUB_TEST_BUILD=$(abspath $(BUILD))/release $(abspath $(venv))/bin/python Tests/Chaos/malformed.py

chaos-short: unit-tests $(venv)/ready ## the same in two minutes, and smaller
	SENSORHUB_TEST_BUILD=$(abspath $(BUILD))/debug $(abspath $(venv))/bin/python Tests/Chaos/chaos.py \
		--seconds 60 --drivers 5 --rate 50 --faults 20 --disk 768 $(CHAOS)
	SENSORHUB_TEST_BUILD=$(abspath $(BUILD))/debug $(abspath $(venv))/bin/python Tests/Chaos/malformed.py --count 20000

fuzz: bootstrap ## feed the payload parser what finds new ways through it: make fuzz SECONDS=60
	Tests/Fuzz/build $(BUILD)/fuzz
	mkdir -p $(BUILD)/fuzz/found
	$(BUILD)/fuzz/fuzz-readings -max_total_time=$(SECONDS) -max_len=4096 -dict=Tests/Fuzz/words.dict \
		-artifact_prefix=$(BUILD)/fuzz/ -print_final_stats=1 $(BUILD)/fuzz/found Tests/Fuzz/corpus

footprint: build ## measure memory and start-up time of an idle hub
	@scripts/footprint $(BUILD)/release

bench: build $(venv)/ready ## measure rates and delays against the broker's, a script's and the database's own
	SENSORHUB_TEST_BUILD=$(abspath $(BUILD))/release $(venv)/bin/python Benchmarks/bench.py

recovery: build $(venv)/ready ## measure how long readings pause when hub, broker or database are killed or restarted
	SENSORHUB_TEST_BUILD=$(abspath $(BUILD))/release $(venv)/bin/python Benchmarks/recovery.py

supervision: build $(venv)/ready ## measure starts, restarts, memory and cpu of supervising against Debian's supervisor
	SENSORHUB_TEST_BUILD=$(abspath $(BUILD))/release $(venv)/bin/python Benchmarks/supervision.py

tour: build ## run the README's tour and write docs/tour.md
	scripts/tour $(BUILD)/release >$(BUILD)/tour.md
	mv $(BUILD)/tour.md docs/tour.md

format: ## format the Swift sources
	$(SWIFT) format --in-place --parallel --recursive $(sources)

lint: ## check the format of the Swift sources
	$(SWIFT) format lint --strict --parallel --recursive $(sources)

clean: ## remove everything that was built
	rm -rf $(BUILD)

$(venv)/ready: Tests/requirements.txt Python/pyproject.toml | bootstrap
	$(PYTHON) -m venv --clear $(venv)
	$(venv)/bin/pip install --quiet --disable-pip-version-check -r Tests/requirements.txt -e Python
	touch $@
