//! Events as a fuzzer writes them: nothing panics, nothing unprintable and no invalid identifier comes out.

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value;

use super::hostile::pointers;
use crate::checks::event::check;
use crate::support::samples;

/// A JSON value of any shape.
fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[ -~]{0,80}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::hash_map("[a-zA-Z]{1,12}", inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

#[derive(Debug, Clone)]
enum Mutation {
    Delete(Index),
    Replace(Index, Value),
    Exchange(Index, Index),
    Bury(Index),
    Lengthen(Index, usize),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        3 => any::<Index>().prop_map(Mutation::Delete),
        5 => (any::<Index>(), json()).prop_map(|(at, value)| Mutation::Replace(at, value)),
        3 => (any::<Index>(), any::<Index>()).prop_map(|(one, other)| Mutation::Exchange(one, other)),
        1 => any::<Index>().prop_map(Mutation::Bury),
        1 => (any::<Index>(), 1_usize..1_000_000).prop_map(|(at, length)| Mutation::Lengthen(at, length)),
    ]
}

fn mutate(event: &mut Value, mutation: &Mutation) {
    let known = pointers(event);
    if known.is_empty() {
        return;
    }
    let at = |index: &Index| index.get(&known).clone();
    match mutation {
        Mutation::Delete(index) => {
            let pointer = at(index);
            let (parent, field) = pointer.rsplit_once('/').expect("a pointer");
            if let Some(Value::Object(fields)) = event.pointer_mut(parent) {
                fields.remove(&field.replace("~1", "/").replace("~0", "~"));
            }
        }
        Mutation::Replace(index, value) => event.pointer_mut(&at(index)).expect("a value").clone_from(value),
        Mutation::Exchange(one, other) => {
            let copy = event.pointer(&at(other)).expect("a value").clone();
            *event.pointer_mut(&at(one)).expect("a value") = copy;
        }
        Mutation::Bury(index) => {
            let value = event.pointer_mut(&at(index)).expect("a value");
            *value = (0..200).fold(value.take(), |inner, _| Value::Array(vec![inner]));
        }
        Mutation::Lengthen(index, length) => {
            *event.pointer_mut(&at(index)).expect("a value") = "\u{e9}".repeat(*length).into();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn arbitrary_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        check(&bytes);
    }

    #[test]
    fn arbitrary_json_is_read_without_panic(value in json()) {
        check(&serde_json::to_vec(&value).expect("JSON"));
    }

    #[test]
    fn a_mutated_sample_is_read_without_panic(of in any::<Index>(), mutations in prop::collection::vec(mutation(), 1..6)) {
        let mut event: Value = serde_json::from_slice(&of.get(samples()).1).expect("JSON");
        for mutation in &mutations {
            mutate(&mut event, mutation);
        }
        check(&serde_json::to_vec(&event).expect("JSON"));
    }

    #[test]
    fn a_torn_sample_is_read_without_panic(of in any::<Index>(), at in any::<Index>(), byte in any::<u8>()) {
        let mut bytes = of.get(samples()).1.clone();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        check(&bytes);
        bytes.truncate(at);
        check(&bytes);
    }
}
