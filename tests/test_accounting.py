"""What was read is what was written and rejected."""

import pytest

from fullchain.accounting import Account, added, read_account
from fullchain.errors import InputError


def test_an_account_that_agrees_is_given_back():
    account = Account(10, 7, {"no jet": 2, "trained on": 1}, 10.0, 7.5)
    assert account.check("here") is account
    assert read_account(account.as_dict(), "there") == account


@pytest.mark.parametrize(
    ("account", "words"),
    [
        (Account(10, 7, {"no jet": 2}), "10 read, 7 written, 2 rejected \\(no jet\\): 1 lost"),
        (Account(10, 9, {"no jet": 2}), "10 read, 9 written, 2 rejected \\(no jet\\): 1 too many"),
        (Account(10, 12, {"no jet": -2}), "a negative number"),
    ],
)
def test_an_account_that_does_not_agree_is_named(account, words):
    with pytest.raises(InputError, match=f"sample tt, part 3: .*{words}"):
        account.check("sample tt, part 3")


@pytest.mark.parametrize("content", [None, {"read": 3}, {"read": 3, "written": 3, "lost": 0}])
def test_what_is_no_account_is_named(content):
    with pytest.raises(InputError, match=r"jets\.json: no account"):
        read_account(content, "jets.json")


def test_sums_of_parts():
    total = added([Account(5, 4, {"a": 1}, 5.0, 4.0), Account(7, 4, {"b": 2, "a": 1}, 7.0)])
    assert total == Account(12, 8, {"a": 2, "b": 2}, 12.0, None)
    assert added([]) == Account(0, 0, {}, 0.0, 0.0)
