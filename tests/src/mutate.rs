//! Damaged requests, and requests that say the same in other legal bytes.

use fastrand::Rng;

use crate::wire::{Content, Field, Shape, parse, put, put_varint};

/// Damages bytes: flips, cuts, splices, wrong lengths.
pub fn damage(bytes: &[u8], other: &[u8], random: &mut Rng) -> Vec<u8> {
    let mut out = bytes.to_vec();
    for _ in 0..random.usize(1..=3) {
        if out.is_empty() {
            break;
        }
        let at = random.usize(0..out.len());
        match random.u32(0..7) {
            0 | 1 => out[at] ^= 1 << random.u32(0..8),
            2 => out[at] = random.u8(..),
            3 => out.truncate(at),
            4 => drop(out.drain(at..(at + random.usize(1..9)).min(out.len()))),
            5 => {
                let garbage: Vec<u8> = (0..random.usize(1..9)).map(|_| random.u8(..)).collect();
                out.splice(at..at, garbage);
            }
            _ if other.is_empty() => {}
            _ => {
                let from = random.usize(0..other.len());
                let to = (from + random.usize(1..40)).min(other.len());
                out.splice(at..at, other[from..to].to_vec());
            }
        }
    }
    out
}

/// Flips bits inside text and bytes only, so that the message stays well-formed and its text does
/// not stay UTF-8.
pub fn spoil_text(bytes: &[u8], random: &mut Rng) -> Vec<u8> {
    spoil(bytes, Shape::Request, random)
}

fn spoil(bytes: &[u8], shape: Shape, random: &mut Rng) -> Vec<u8> {
    let Some(mut fields) = parse(bytes) else { return bytes.to_vec() };
    for field in &mut fields {
        let Content::Len(content) = &mut field.content else { continue };
        if let Some(inner) = shape.of(field.number) {
            *content = spoil(content, inner, random);
        } else if !content.is_empty() && random.u32(0..10) == 0 {
            let at = random.usize(0..content.len());
            content[at] |= 0x80;
        }
    }
    put(&fields)
}

/// The same request in other legal bytes: fields in another order, messages in pieces, fields that
/// nobody knows, groups, singular fields that come twice.
pub fn re_encode(bytes: &[u8], random: &mut Rng) -> Vec<u8> {
    disguise(bytes, Shape::Request, random)
}

fn disguise(bytes: &[u8], shape: Shape, random: &mut Rng) -> Vec<u8> {
    let Some(mut fields) = parse(bytes) else { return bytes.to_vec() };
    for field in &mut fields {
        if let (Some(inner), Content::Len(content)) = (shape.of(field.number), &mut field.content) {
            *content = disguise(content, inner, random);
        }
    }
    split_messages(&mut fields, shape, random);
    double_scalars(&mut fields, shape, random);
    shuffle(&mut fields, shape, random);
    for _ in 0..random.usize(0..3) {
        let at = random.usize(0..=fields.len());
        fields.insert(at, unknown(random, 0));
    }
    put(&fields)
}

/// Sends a message that a reader merges in two pieces.
fn split_messages(fields: &mut Vec<Field>, shape: Shape, random: &mut Rng) {
    let mut at = 0;
    while at < fields.len() {
        let number = fields[at].number;
        // Of a resource, scope or status the pieces merge; so do those of a value in a KeyValue,
        // and of a list in a value.
        let merges = match (shape, number) {
            (Shape::KeyValue, 2) | (Shape::AnyValue, 5 | 6) => true,
            _ => shape.of(number).is_some_and(Shape::is_singular),
        };
        if merges
            && random.bool()
            && let Content::Len(content) = &fields[at].content
            && let Some(inner) = parse(content)
        {
            let (first, second) = inner.split_at(random.usize(0..=inner.len()));
            let (first, second) = (put(first), put(second));
            fields[at].content = Content::Len(first);
            // A value in two pieces of which the second is empty stays what it was.
            fields.insert(at + 1, Field { number, content: Content::Len(second) });
            at += 1;
        }
        at += 1;
    }
}

/// Puts another value before a field that is no list: the last one counts.
fn double_scalars(fields: &mut Vec<Field>, shape: Shape, random: &mut Rng) {
    // An AnyValue's fields exclude each other, so a second one is not a repetition of the same.
    if shape == Shape::AnyValue || shape == Shape::Request {
        return;
    }
    let mut at = 0;
    while at < fields.len() {
        let field = &fields[at];
        let earlier = match &field.content {
            Content::Varint(_) => Some(Content::Varint(random.u64(..))),
            Content::Fixed64(_) => Some(Content::Fixed64(random.u64(..).to_le_bytes())),
            Content::Fixed32(_) => Some(Content::Fixed32(random.u32(..).to_le_bytes())),
            // The entities of a resource are a list of messages that `Shape` does not know.
            Content::Len(_) if (shape, field.number) == (Shape::Resource, 3) => None,
            Content::Len(_) if shape.of(field.number).is_none() => {
                Some(Content::Len(b"earlier".to_vec()))
            }
            Content::Len(_) | Content::Group(_) => None,
        };
        if let Some(content) = earlier.filter(|_| random.u32(0..4) == 0) {
            let number = field.number;
            fields.insert(at, Field { number, content });
            at += 1;
        }
        at += 1;
    }
}

/// Moves fields, keeping the order among fields of the same number.
fn shuffle(fields: &mut [Field], shape: Shape, random: &mut Rng) {
    if shape == Shape::AnyValue {
        return;
    }
    for _ in 0..fields.len() {
        let at = random.usize(0..fields.len());
        if at + 1 < fields.len() && fields[at].number != fields[at + 1].number {
            fields.swap(at, at + 1);
        }
    }
}

/// A field with a number that no OTLP message has.
fn unknown(random: &mut Rng, depth: usize) -> Field {
    let number = match random.u32(0..3) {
        0 => random.u32(100..1_000),
        1 => random.u32(19_000..20_000),
        _ => (1 << 29) - 1,
    };
    let content = match random.u32(0..if depth < 3 { 6 } else { 4 }) {
        0 => Content::Varint(random.u64(..)),
        1 => Content::Fixed64(random.u64(..).to_le_bytes()),
        2 => Content::Fixed32(random.u32(..).to_le_bytes()),
        // Not a message, and nothing may try to read it as one.
        3 => Content::Len((0..random.usize(0..12)).map(|_| random.u8(..)).collect()),
        _ => {
            let inner = (0..random.usize(0..3)).map(|_| unknown(random, depth + 1)).collect();
            Content::Group(inner)
        }
    };
    Field { number, content }
}

/// A request whose one attribute is nested this deep in arrays, without recursion.
pub fn nested_value(depth: usize) -> Vec<u8> {
    let mut value = vec![0x0a, 1, b'x'];
    for _ in 1..depth {
        let array = wrap(1, &value);
        value = wrap(5, &array);
    }
    let key_value = [vec![0x0a, 1, b'k'], wrap(2, &value)].concat();
    let span = [wrap(1, &[1; 16]), wrap(2, &[2; 8]), wrap(9, &key_value)].concat();
    wrap(1, &wrap(2, &wrap(2, &span)))
}

/// A field of wire type 2.
pub fn wrap(number: u32, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + 12);
    put_varint(&mut out, u64::from(number << 3 | 2));
    put_varint(&mut out, content.len() as u64);
    out.extend_from_slice(content);
    out
}
