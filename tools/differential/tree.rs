//! An expression as text in pieces, so that it can be made smaller without being parsed.

/// What an expression gives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Scalar,
    Vector,
    Matrix,
    Text,
}

/// A part of the text.
#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    /// A modifier that can be left out.
    Optional(String),
    Part(Node),
}

/// An expression.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    kind: Kind,
    pieces: Vec<Piece>,
}

impl Node {
    /// One without text yet.
    pub(crate) fn new(kind: Kind) -> Node {
        Node { kind, pieces: Vec::new() }
    }

    /// One that has no parts.
    pub(crate) fn leaf(kind: Kind, text: impl Into<String>) -> Node {
        Node::new(kind).text(text)
    }

    /// Goes on with text that must be there.
    pub(crate) fn text(mut self, text: impl Into<String>) -> Node {
        self.pieces.push(Piece::Text(text.into()));
        self
    }

    /// Goes on with text that may be left out.
    pub(crate) fn optional(mut self, text: impl Into<String>) -> Node {
        self.pieces.push(Piece::Optional(text.into()));
        self
    }

    /// Goes on with an expression.
    pub(crate) fn part(mut self, node: Node) -> Node {
        self.pieces.push(Piece::Part(node));
        self
    }

    /// The expression as it is written.
    pub(crate) fn write(&self) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) | Piece::Optional(text) => text.clone(),
            Piece::Part(node) => node.write(),
        };
        self.pieces.iter().map(piece).collect()
    }

    /// Expressions that are smaller by one step, the smallest first: a part in place of the whole, or the whole without
    /// a modifier or with a smaller part.
    pub(crate) fn smaller(&self) -> Vec<Node> {
        let mut found: Vec<Node> = self.parts().cloned().collect();
        found.extend(self.smaller_of_same_kind());
        found.sort_by_key(|node| node.write().len());
        found
    }

    fn parts(&self) -> impl Iterator<Item = &Node> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Part(node) => Some(node),
            Piece::Text(_) | Piece::Optional(_) => None,
        })
    }

    fn smaller_of_same_kind(&self) -> Vec<Node> {
        let mut found = Vec::new();
        for (at, piece) in self.pieces.iter().enumerate() {
            match piece {
                Piece::Text(_) => {}
                Piece::Optional(_) => {
                    let mut without = self.clone();
                    without.pieces.remove(at);
                    found.push(without);
                }
                Piece::Part(part) => {
                    let mut others = Vec::new();
                    part.inside(part.kind, &mut others);
                    others.extend(part.smaller_of_same_kind());
                    for other in others {
                        let mut with = self.clone();
                        with.pieces[at] = Piece::Part(other);
                        found.push(with);
                    }
                }
            }
        }
        found
    }

    /// The expressions of a kind below this one that have none of that kind between.
    fn inside(&self, kind: Kind, found: &mut Vec<Node>) {
        for part in self.parts() {
            if part.kind == kind {
                found.push(part.clone());
            } else {
                part.inside(kind, found);
            }
        }
    }
}
