# SPDX-License-Identifier: Apache-2.0
#
# "make test" and "make demo" do all set-up that a fresh machine needs.

VENV := .venv
PYTHON := $(CURDIR)/$(VENV)/bin/python
PYTEST := $(PYTHON) -m pytest
SETUP ?= tools/setup

# The lab mounts and starts daemons. What root runs here leaves no files of
# root's behind.
ifeq ($(shell id -u),0)
AS_ROOT :=
else
AS_ROOT := sudo --preserve-env
endif
IN_VENV := env PATH="$(CURDIR)/$(VENV)/bin:$$PATH"
IN_LAB := $(AS_ROOT) $(IN_VENV) PYTHONDONTWRITEBYTECODE=1
# Without a lab nobody has to be root to clean up.
LAB_DIR := $(or $(HAWKFISH_LAB_DIR),/var/cache/hawkfish-lab)
HAS_LAB := [ -d "$(LAB_DIR)" ] && [ -x $(PYTHON) ]

.PHONY: help setup test unit release page pictures functional ironic lower bench
.PHONY: bench-scale rounds kills bundle-kills flaws fuzz hostile soak
.PHONY: stress demo lint docs container
.PHONY: genconfig generrors genman genschemas clean distclean

help:
	@echo 'make test        all tests; the functional ones need root or sudo'
	@echo 'make unit        the tests of the code without a hypervisor'
	@echo 'make release     the tests of what is released: packages, tour'
	@echo 'make page        the tests of the page, in a browser'
	@echo 'make pictures    the pictures of the page in the documentation'
	@echo 'make container   the container image, built and started'
	@echo 'make functional  the tests against real hypervisors, in the lab'
	@echo 'make ironic      the tests with Ironic and openstack, from PyPI'
	@echo 'make lower       the unit tests with the oldest dependencies'
	@echo 'make bench       how fast, beside virsh; nine minutes, in the lab'
	@echo 'make rounds      a lab captured 100 times while its guests talk'
	@echo 'make kills       200 kills over operations on a lab, in the lab'
	@echo 'make bundle-kills  the same over exports, imports and backups'
	@echo 'make bench-scale 500 systems and 50 clients, for ten minutes'
	@echo 'make flaws       what libvirt does wrong, on versions of the lab'
	@echo 'make fuzz        requests that nobody would think of, for an hour'
	@echo 'make hostile     requests against every route, and 140 kills'
	@echo 'make soak        clients that misbehave, and kills, for an hour'
	@echo 'make stress      1000 random rounds against a model, in the lab'
	@echo 'make demo        a tour of the plugin on a real hypervisor'
	@echo 'make lint        ruff, codespell, mypy; prettier and eslint'
	@echo 'make docs        the documentation, into doc/build/html'
	@echo 'make genconfig   etc/hawkfish/hawkfish.conf.sample'
	@echo 'make generrors   the exceptions of the SDK, from the registry'
	@echo 'make genschemas  the JSON schemas, from the CSDL'
	@echo 'make genman      the manual pages, from the documentation'
	@echo 'make clean       remove build products; take the lab down'
	@echo 'make distclean   the same, and remove what the lab has built'

setup:
	@$(SETUP)

test: unit release page
	@$(MAKE) --no-print-directory run-functional

# They wait more than they compute.
unit: setup
	$(PYTEST) -n $$((2 * $$(nproc))) tests/unit

release: setup
	$(PYTEST) -n auto --dist loadgroup tests/release

page: setup
	node --test tests/page/js/*.test.js
	$(PYTEST) -n auto tests/page

# Some are of a real host, as libvirt 11.3 serves it.
PICTURES := HAWKFISH_PICTURES=$(CURDIR)/doc/source/images

pictures: setup
	$(PICTURES) $(PYTEST) tests/page/test_looks.py tests/page/test_groups.py
	@$(IN_LAB) $(PICTURES) HAWKFISH_LAB_RELEASES=debian12-backports \
		$(PYTHON) -m pytest -p no:cacheprovider tests/functional/test_page.py

container: setup
	@$(IN_LAB) tools/container

functional: setup run-functional

.PHONY: run-functional
run-functional:
	@$(IN_LAB) $(PYTHON) -m tests.lab check
	@$(IN_LAB) tools/functional

ironic: setup
	$(PYTHON) -m tox run -e ironic --notest
	@$(IN_LAB) $(PYTHON) -m tests.lab build
	@$(AS_ROOT) env PYTHONDONTWRITEBYTECODE=1 \
		.tox/ironic/bin/python -m pytest -p no:cacheprovider tests/ironic

lower: setup
	$(PYTHON) -m tox run -e lower

bench: setup
	@mkdir -p build/bench
	@-$(PYTHON) -m tests.bench.startup
	@-$(PYTHON) -m tests.bench.many
	@$(IN_LAB) $(PYTHON) -m tests.bench $(BENCH_OPTIONS)
	@$(IN_LAB) $(PYTHON) -m tests.bench.profile

rounds: setup
	@$(IN_LAB) env HAWKFISH_LAB_ROUNDS=100 $(PYTHON) -m pytest \
		-p no:cacheprovider tests/functional/test_lab_guests.py \
		-k test_answers_come_after_questions

kills: setup
	@$(IN_LAB) $(PYTHON) -m tests.functional.kills $(KILLS_OPTIONS)

bundle-kills: setup
	@$(IN_LAB) $(PYTHON) -m tests.functional.bundle_kills $(KILLS_OPTIONS)

bench-scale: setup
	@$(IN_LAB) $(PYTHON) -m tests.bench.scale $(BENCH_OPTIONS)

fuzz: setup
	@$(PYTHON) -m tests.fuzz $(FUZZ_OPTIONS)

hostile: setup
	@$(PYTHON) -m tests.hostile $(HOSTILE_OPTIONS)

soak: setup
	@$(PYTHON) -m tests.soak $(SOAK_OPTIONS)

flaws: setup
	@$(IN_LAB) $(PYTHON) -m tests.lab.flaws

stress: setup
	@$(IN_LAB) $(PYTHON) -m tests.functional.stress $(STRESS_OPTIONS)

demo: setup
	@$(IN_LAB) tools/demo

# npm writes it last.
NODE_MODULES := node_modules/.package-lock.json

$(NODE_MODULES): package.json package-lock.json | setup
	npm ci --silent --no-audit --no-fund
	@touch $@

lint: setup $(NODE_MODULES)
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/codespell
	$(PYTHON) -m mypy
	npm run --silent lint

docs: setup
	$(PYTHON) -m sphinx -q -W --keep-going -b html \
		-d doc/build/doctrees doc/source doc/build/html
	@echo 'See doc/build/html/index.html'

genconfig: setup
	$(VENV)/bin/oslo-config-generator \
		--config-file tools/config/hawkfish-config-generator.conf

generrors: setup
	$(PYTHON) tools/generrors

genschemas: setup
	$(PYTHON) tools/genschemas

genman: setup
	$(PYTHON) -m sphinx -q -W -b man -d doc/build/doctrees-man doc/man man

clean: lab-down
	rm -rf build dist doc/build releasenotes/build cover *.egg-info .tox
	rm -rf .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache
	rm -rf AUTHORS ChangeLog $(VENV) node_modules
	find hawkfish_plugin tests tools doc -name __pycache__ -prune \
		-exec rm -rf {} +

distclean: lab-down
	@if $(HAS_LAB); then $(IN_LAB) $(PYTHON) -m tests.lab clean; fi
	@$(MAKE) --no-print-directory clean

.PHONY: lab-down
lab-down:
	@if $(HAS_LAB); then \
		hosts=$$($(IN_LAB) $(PYTHON) -m tests.lab list | cut -f 1) && \
		{ [ -z "$$hosts" ] || \
			$(IN_LAB) $(PYTHON) -m tests.lab down $$hosts; }; \
	fi
