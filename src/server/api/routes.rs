//! Routes that can be listed: axum's router cannot say what it holds, and the description must.

use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodRouter, get, post};

use crate::server::state::ServerState;

/// A router and the list of what is in it.
#[derive(Default)]
pub(super) struct Routes {
    router: Router<ServerState>,
    list: Vec<(&'static str, &'static [&'static str])>,
}

impl Routes {
    pub(super) fn get<T: 'static>(self, path: &'static str, handler: impl Handler<T, ServerState>) -> Routes {
        self.add(path, &["get"], get(handler))
    }

    pub(super) fn post<T: 'static>(self, path: &'static str, handler: impl Handler<T, ServerState>) -> Routes {
        self.add(path, &["post"], post(handler))
    }

    pub(super) fn get_and_post<T: 'static>(self, path: &'static str, handler: impl Handler<T, ServerState>) -> Routes {
        self.add(path, &["get", "post"], get(handler.clone()).post(handler))
    }

    pub(super) fn post_and_put<T: 'static>(self, path: &'static str, handler: impl Handler<T, ServerState>) -> Routes {
        self.add(path, &["post", "put"], post(handler.clone()).put(handler))
    }

    fn add(mut self, path: &'static str, methods: &'static [&'static str], route: MethodRouter<ServerState>) -> Routes {
        self.list.push((path, methods));
        Routes { router: self.router.route(path, route), list: self.list }
    }

    pub(super) fn into_router(self) -> Router<ServerState> {
        self.router
    }

    /// Every path with each of its methods.
    #[cfg(test)]
    pub(super) fn list(&self) -> Vec<(String, String)> {
        let each = |(path, methods): &(&str, &[&str])| -> Vec<(String, String)> {
            methods.iter().map(|method| ((*path).to_owned(), (*method).to_owned())).collect()
        };
        self.list.iter().flat_map(each).collect()
    }
}
