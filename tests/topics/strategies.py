"""Events as the kernel can make them, and somewhat worse ones."""

from hypothesis import strategies as st

from models.events import EventRecord, SourceOffset

INT64 = st.integers(-(2**63), 2**63 - 1)

# Integers beyond 64 bits and halves of surrogate pairs: an expression in a blueprint can make both.
any_text = st.text(st.characters(exclude_categories=()), max_size=20)
scalars = st.one_of(st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), any_text)
values = st.recursive(
    scalars, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(any_text, inner, max_size=3)), max_leaves=6
)
causes = st.one_of(
    st.none(),
    st.integers(1, 2**53),
    st.builds(SourceOffset, st.text("abc._-", min_size=1), st.integers(0, 2**31 - 1), st.integers(0, 2**63 - 1)),
)


def events(payload_values: st.SearchStrategy = values, text: st.SearchStrategy = any_text) -> st.SearchStrategy[EventRecord]:
    return st.builds(
        EventRecord,
        twin=text,
        seq=st.integers(1, 2**63 - 1),
        sim_time=st.floats(allow_nan=False),
        event_time_us=st.one_of(INT64, st.integers(1_500_000_000_000_000, 2_000_000_000_000_000)),
        kind=text,
        entity=st.one_of(st.none(), INT64),
        cause=causes,
        payload=st.dictionaries(text, payload_values, max_size=5),
    )
