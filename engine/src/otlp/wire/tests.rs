//! What is read the short way is what the long way reads.

use super::{ANY_VALUE, Fields, KEY_VALUE, Value, usual_key_value, usual_scalar};

/// Seed of the messages.
const SEED: u64 = 11;

/// Bytes that are tags and lengths of KeyValue and AnyValue messages, and a few that are not.
const BYTES: [u8; 16] =
    [0x0a, 0x12, 0x18, 0x10, 0x21, 0, 1, 2, 4, 8, 0x7f, 0x80, 0x81, 0xff, 0x1a, b'a'];

/// Messages of such bytes: of any, and of two fields whose lengths are right unless one of their
/// bytes is changed.
fn messages() -> impl Iterator<Item = Vec<u8>> {
    let mut random = SEED;
    let mut next = move |below: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (random >> 40) as usize % below
    };
    (0..400_000).map(move |number| {
        let mut some = |len: usize| (0..len).map(|_| BYTES[next(16)]).collect::<Vec<u8>>();
        if number % 2 == 0 {
            return some(number / 2 % 20);
        }
        let [first, second] = [2, 9].map(|len| some(number / 2 % len));
        let len = |bytes: &[u8]| match number % 3 {
            // Lengths of two bytes, which need not be.
            0 => vec![bytes.len() as u8 | 0x80, 0],
            _ => vec![bytes.len() as u8],
        };
        let (a, b) = (len(&first), len(&second));
        let mut message = [vec![0x0a], a, first, vec![0x12], b, second].concat();
        let at = next(2 * message.len());
        if let Some(byte) = message.get_mut(at) {
            *byte = BYTES[next(16)];
        }
        message
    })
}

fn fields(message: &[u8]) -> Vec<(u32, Value<'_>)> {
    let mut fields = Fields::new(message, 0);
    std::iter::from_fn(|| fields.next().expect("a message that was checked")).collect()
}

#[test]
fn a_usual_key_value_is_what_its_fields_are() {
    let mut usual = 0;
    for message in messages() {
        let Some((key, value)) = usual_key_value(&message) else { continue };
        usual += 1;
        let [(1, Value::Len(long_key, _)), (2, Value::Len(long_value, _))] = fields(&message)[..]
        else {
            panic!("{message:x?}: {:?}", fields(&message));
        };
        assert_eq!((key, value), (long_key, long_value), "{message:x?}");
        if usual_scalar(value).is_some() {
            KEY_VALUE.check_all(&message, 0, 0).expect("a usual value");
        }
    }
    assert!(usual > 100, "{usual}");
}

#[test]
fn a_usual_scalar_is_what_its_field_is() {
    let mut usual = [0; 5];
    for message in messages() {
        let Some((field, value)) = usual_scalar(&message) else { continue };
        usual[field as usize] += 1;
        ANY_VALUE.check_all(&message, 0, 1).expect("a usual value");
        let [(long_field, long_value)] = fields(&message)[..] else {
            panic!("{message:x?}: {:?}", fields(&message));
        };
        // The offset, which errors name, is not the short way's.
        let long_value = match long_value {
            Value::Len(bytes, _) => Value::Len(bytes, 0),
            other => other,
        };
        assert_eq!((field, value), (long_field, long_value), "{message:x?}");
    }
    assert!(usual[1..].iter().all(|found| *found > 100), "{usual:?}");
}
