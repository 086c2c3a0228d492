//! Cuts the top level of a JSON object or array that passes in pieces of any size, without keeping any of it.
//!
//! It follows strings and brackets only, so it cannot fail. What it says of bytes that are no JSON is the
//! same however they are cut, and means nothing.

use memchr::memchr2;

/// What is said of the bytes, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// Some of the next member's name, as written between its quotes. All pieces up to a `Colon` make it.
    Name(&'a [u8]),
    /// The name has ended.
    Colon,
    /// Some of a member's or an element's value, with quotes, brackets and the white space around it.
    Value(&'a [u8]),
    /// The value has ended.
    End,
}

/// Where the walk stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// Before the opening bracket.
    #[default]
    Before,
    /// In an object, around a name.
    Gap,
    /// Inside of a name.
    Name,
    /// After a back slash inside of one.
    NameEscape,
    /// In a value, outside of strings.
    Value,
    /// Inside of a string of a value.
    String,
    /// After a back slash inside of one.
    Escape,
    /// After the end.
    Done,
    /// In something that is neither object nor array.
    Lost,
}

/// A walk over one container.
///
/// ```text
/// object: ( Name* Colon Value* End )*      array: ( Value* End )*
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Parts {
    place: Place,
    /// Brackets open inside of the value under way.
    depth: usize,
    /// The container is an object.
    object: bool,
    /// More than white space of the value under way has passed.
    filled: bool,
}

impl Parts {
    /// Looks at the next bytes.
    pub fn push(&mut self, bytes: &[u8], mut each: impl FnMut(Part<'_>)) {
        let mut rest = bytes;
        while let Some((&first, after)) = rest.split_first() {
            rest = match self.place {
                Place::Done | Place::Lost => return,
                Place::Name => self.name(rest, &mut each),
                Place::Value | Place::String | Place::Escape => self.value(rest, &mut each),
                Place::NameEscape => {
                    each(Part::Name(rest.get(..1).unwrap_or_default()));
                    self.place = Place::Name;
                    after
                }
                Place::Before => {
                    self.begin(first);
                    after
                }
                Place::Gap => {
                    self.gap(first, &mut each);
                    after
                }
            };
        }
    }

    /// Whether the closing bracket has passed.
    pub fn finished(&self) -> bool {
        self.place == Place::Done
    }

    fn begin(&mut self, byte: u8) {
        self.object = byte == b'{';
        self.place = match byte {
            b'{' => Place::Gap,
            b'[' => Place::Value,
            b' ' | b'\t' | b'\r' | b'\n' => Place::Before,
            _ => Place::Lost,
        };
    }

    fn gap(&mut self, byte: u8, each: &mut impl FnMut(Part<'_>)) {
        match byte {
            b'"' => self.place = Place::Name,
            b':' => {
                self.place = Place::Value;
                each(Part::Colon);
            }
            b'}' => self.place = Place::Done,
            _ => {}
        }
    }

    /// Passes a part of a name, up to its end or a back slash, and returns what follows.
    fn name<'a>(&mut self, bytes: &'a [u8], each: &mut impl FnMut(Part<'_>)) -> &'a [u8] {
        let end = memchr2(b'"', b'\\', bytes).unwrap_or(bytes.len());
        let (name, rest) = bytes.split_at(end);
        let Some((&stop, after)) = rest.split_first() else {
            each(Part::Name(name));
            return rest;
        };
        if stop == b'"' {
            each(Part::Name(name));
            self.place = Place::Gap;
        } else {
            each(Part::Name(bytes.get(..=end).unwrap_or_default()));
            self.place = Place::NameEscape;
        }
        after
    }

    /// Passes a part of a value, up to its end, and returns what follows.
    fn value<'a>(&mut self, bytes: &'a [u8], each: &mut impl FnMut(Part<'_>)) -> &'a [u8] {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            match (self.place, byte) {
                (Place::Escape, _) => self.place = Place::String,
                (Place::String, _) => match memchr2(b'"', b'\\', bytes.get(at..).unwrap_or_default()) {
                    None => break,
                    Some(ahead) => {
                        at += ahead;
                        let quote = bytes.get(at) == Some(&b'"');
                        self.place = if quote { Place::Value } else { Place::Escape };
                    }
                },
                (_, b'"') => self.place = Place::String,
                (_, b'{' | b'[') => self.depth = self.depth.saturating_add(1),
                (_, b',' | b'}' | b']') if self.depth == 0 => {
                    let (value, rest) = bytes.split_at(at);
                    self.say(value, each);
                    self.end(byte, each);
                    return rest.get(1..).unwrap_or_default();
                }
                (_, b'}' | b']') => self.depth -= 1,
                _ => {}
            }
            at += 1;
        }
        self.say(bytes, each);
        &[]
    }

    fn say(&mut self, value: &[u8], each: &mut impl FnMut(Part<'_>)) {
        if !value.is_empty() {
            self.filled |= !value.trim_ascii_start().is_empty();
            each(Part::Value(value));
        }
    }

    /// Ends a value at a comma or at the container's closing bracket.
    fn end(&mut self, byte: u8, each: &mut impl FnMut(Part<'_>)) {
        self.place = match byte {
            b',' if self.object => Place::Gap,
            b',' => Place::Value,
            _ => Place::Done,
        };
        // Between the brackets of an empty array there is no value.
        if self.filled || self.object || byte == b',' {
            each(Part::End);
        }
        self.filled = false;
    }
}
