//! A request ready to be sent, and sent again: pieces of buffers that stay alive until an answer begins.

use std::ops::Range;
use std::rc::Rc;

use crate::net::buffer::Buffer;
use crate::net::outgoing::{Outgoing, Piece};

/// One piece: a part of a shared buffer.
pub type Part = (Rc<Buffer>, Range<usize>);

/// The head and up to three pieces of body.
#[derive(Clone, Debug)]
pub struct Message {
    head: Rc<Buffer>,
    body: [Option<Part>; 3],
}

impl Message {
    /// A request without a body.
    pub fn bare(head: Buffer) -> Self {
        Self { head: Rc::new(head), body: [None, None, None] }
    }

    /// A request whose body is these pieces in this order.
    pub fn with_body(head: Buffer, body: [Option<Part>; 3]) -> Self {
        Self { head: Rc::new(head), body }
    }

    /// The pieces as a send; the message keeps sharing them.
    pub fn outgoing(&self) -> Outgoing {
        let piece = |part: &Option<Part>| match part {
            Some((buffer, range)) => Piece::Shared(Rc::clone(buffer), range.clone()),
            None => Piece::Nothing,
        };
        let [first, second, third] = &self.body;
        let head = Piece::Shared(Rc::clone(&self.head), 0..self.head.len());
        Outgoing::new([head, piece(first), piece(second), piece(third)])
    }
}
