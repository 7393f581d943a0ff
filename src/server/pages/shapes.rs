//! The shapes of the four states, so that none is told by colour alone.

use maud::{Markup, html};

use super::view::State;

/// The state's shape. It is always beside the word, so screen readers skip it.
pub(super) fn shape(state: State) -> Markup {
    html! {
        svg class={ "shape " (state.class()) } viewBox="0 0 24 24" width="24" height="24" aria-hidden="true" focusable="false" {
            @match state {
                State::Ok => {
                    circle class="fill" cx="12" cy="12" r="10" {}
                    path class="cut" d="M7.2 12.4l3.3 3.3 6.3-7" {}
                }
                State::AtRisk => {
                    path class="fill" d="M12 2.4L23 21.4H1z" {}
                    path class="cut" d="M12 9.2v5.6M12 18.1v.1" {}
                }
                State::Hurting => {
                    path class="fill" d="M7.9 2h8.2L22 7.9v8.2L16.1 22H7.9L2 16.1V7.9z" {}
                    path class="cut" d="M8.4 8.4l7.2 7.2M15.6 8.4l-7.2 7.2" {}
                }
                State::Blind => {
                    circle class="ring" cx="12" cy="12" r="9.2" {}
                    path class="hatch" d="M4.6 14.6L14.6 4.6M6.4 18.6L18.6 6.4M10.4 20L20 10.4" {}
                }
            }
        }
    }
}

/// Shape and word together.
pub(super) fn badge(state: State) -> Markup {
    html! {
        span class={ "badge " (state.class()) } { (shape(state)) span { (state.word()) } }
    }
}
