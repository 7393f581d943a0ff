//! What of a parsed template must be changed, since the engine has no types: methods, labels that are absent, and
//! the places of calls for errors.
//!
//! Invariants:
//! - A name that no function and no builtin has is an error, with its place, as in Go.
//! - A call of a function of ours is given a name that tells its place, so that an error can name it.

use std::collections::BTreeMap;

use gotmpl::parse::{BranchNode, CommandNode, Expr, ListNode, Node, PipeNode, Pos, SmolStr};

use super::time::METHODS;

/// The functions of Go's templates.
const BUILTINS: [&str; 17] = [
    "and", "or", "not", "eq", "ne", "lt", "le", "gt", "ge", "len", "slice", "print", "println", "html", "js",
    "urlquery", "call",
];

/// The function that calls a method; its arguments: name, receiver, the method's.
pub(super) const METHOD: &str = "(method)";
/// The function that gives a label, empty if it is absent; its arguments: labels, name.
pub(super) const LABEL: &str = "(label)";

/// The function that gives what is printed of a value.
pub(super) const SHOWN: &str = "(shown)";

/// Where a function is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CallSite {
    /// The function.
    pub(super) function: String,
    /// The line, from 1.
    pub(super) line: usize,
    /// The byte in the line, from 0, as Go counts them.
    pub(super) column: usize,
}

/// Changes templates.
pub(super) struct Resolver<'a> {
    source: &'a str,
    /// Whether a function has this name.
    is_function: &'a dyn Fn(&str) -> bool,
    /// The places met, by the names that stand for them.
    pub(super) sites: BTreeMap<String, CallSite>,
    /// The first name that nothing has.
    pub(super) unknown: Option<CallSite>,
}

impl<'a> Resolver<'a> {
    /// For a template's text.
    pub(super) fn new(source: &'a str, is_function: &'a dyn Fn(&str) -> bool) -> Resolver<'a> {
        Resolver { source, is_function, sites: BTreeMap::new(), unknown: None }
    }

    /// Changes a list of nodes.
    pub(super) fn list(&mut self, list: &mut ListNode) {
        for node in &mut list.nodes {
            match node {
                Node::List(list) => self.list(list),
                Node::Action(action) => {
                    self.pipe(&mut action.pipe);
                    if action.pipe.decl.is_empty() {
                        let pos = action.pos;
                        let args = vec![Expr::Identifier(pos, SHOWN.into())];
                        action.pipe.commands.push(CommandNode { pos, args });
                    }
                }
                Node::If(branch) | Node::Range(branch) | Node::With(branch) => self.branch(branch),
                Node::Template(template) => template.pipe.iter_mut().for_each(|pipe| self.pipe(pipe)),
                Node::Define(define) => self.list(&mut define.body),
                Node::Text(_) | Node::Break(_) | Node::Continue(_) => {}
            }
        }
    }

    fn branch(&mut self, branch: &mut BranchNode) {
        self.pipe(&mut branch.pipe);
        self.list(&mut branch.body);
        branch.else_body.iter_mut().for_each(|body| self.list(body));
    }

    fn pipe(&mut self, pipe: &mut PipeNode) {
        for command in &mut pipe.commands {
            self.command(command);
        }
    }

    fn command(&mut self, command: &mut CommandNode) {
        for (at, arg) in command.args.iter_mut().enumerate() {
            if at > 0 {
                self.operand(arg);
            }
        }
        let Some(first) = command.args.first_mut() else { return };
        match self.replacement(first) {
            Some(head) => {
                command.args.splice(0..1, head);
            }
            None => self.inside(first),
        }
    }

    /// Changes an expression that stands by itself.
    fn operand(&mut self, expr: &mut Expr) {
        match self.replacement(expr) {
            Some(args) => {
                let pos = expr.pos();
                let command = CommandNode { pos, args };
                *expr = Expr::Pipe(pos, PipeNode { pos, decl: Vec::new(), commands: vec![command], is_assign: false });
            }
            None => self.inside(expr),
        }
    }

    fn inside(&mut self, expr: &mut Expr) {
        match expr {
            Expr::Identifier(pos, name) => *name = self.function(*pos, name),
            Expr::Pipe(_, pipe) => self.pipe(pipe),
            Expr::Chain(_, inner, _) => self.inside(inner),
            _ => {}
        }
    }

    /// The call that stands for an expression with a method or a label at its end.
    fn replacement(&mut self, expr: &Expr) -> Option<Vec<Expr>> {
        let pos = expr.pos();
        let (base, last): (Expr, SmolStr) = match expr {
            Expr::Variable(_, name, fields) => {
                let (last, before) = fields.split_last()?;
                (Expr::Variable(pos, name.clone(), before.to_vec()), last.clone())
            }
            Expr::Field(_, fields) => {
                let (last, before) = fields.split_last()?;
                (if before.is_empty() { Expr::Dot(pos) } else { Expr::Field(pos, before.to_vec()) }, last.clone())
            }
            Expr::Chain(_, inner, fields) => {
                let (last, before) = fields.split_last()?;
                let inner = inner.clone();
                (if before.is_empty() { *inner } else { Expr::Chain(pos, inner, before.to_vec()) }, last.clone())
            }
            _ => return None,
        };
        let name = Expr::String(pos, last.as_str().into());
        let is_labels = gives_labels(&base);
        let mut base = base;
        if is_labels {
            self.operand(&mut base);
            return Some(vec![Expr::Identifier(pos, LABEL.into()), base, name]);
        }
        if !METHODS.contains(&last.as_str()) {
            return None;
        }
        self.operand(&mut base);
        let call = CallSite { function: METHOD.to_owned(), ..self.site(pos, last.as_str()) };
        Some(vec![Expr::Identifier(pos, self.note(call, &format!("{METHOD}{}", pos.offset))), name, base])
    }

    /// The name that stands for a function at a place.
    fn function(&mut self, pos: Pos, name: &SmolStr) -> SmolStr {
        if (self.is_function)(name) {
            let site = self.site(pos, name);
            return self.note(site, &format!("{name}@{}", pos.offset));
        }
        if !BUILTINS.contains(&name.as_str()) && self.unknown.is_none() {
            self.unknown = Some(self.site(pos, name));
        }
        name.clone()
    }

    fn note(&mut self, site: CallSite, name: &str) -> SmolStr {
        self.sites.insert(name.to_owned(), site);
        name.into()
    }

    fn site(&self, pos: Pos, function: &str) -> CallSite {
        let before = self.source.get(..pos.offset).unwrap_or(self.source);
        let column = before.len() - before.rfind('\n').map_or(0, |at| at + 1);
        CallSite { function: function.to_owned(), line: pos.line, column }
    }
}

/// Whether an expression stands for the labels of something.
fn gives_labels(expr: &Expr) -> bool {
    let is_last = |fields: &[SmolStr]| matches!(fields.last().map(SmolStr::as_str), Some("Labels" | "ExternalLabels"));
    match expr {
        Expr::Variable(_, name, fields) if fields.is_empty() => {
            matches!(name.trim_start_matches('$'), "labels" | "externalLabels")
        }
        Expr::Variable(_, _, fields) | Expr::Field(_, fields) | Expr::Chain(_, _, fields) => is_last(fields),
        _ => false,
    }
}
