"""The store of the page on stores, proved as the page says."""

from __future__ import annotations

from docs._ext.examples import module

module("stores.rst", 1, "dict_store")
_proof = module("stores.rst", 4, "test_dict_store")
_proof["DictStore"] = module("stores.rst", 1, "dict_store")["DictStore"]

#: Collected by pytest, with every test of the suite.
TestDictStore = _proof["TestDictStore"]
