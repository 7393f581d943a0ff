//! Somebody is told when nothing is seen any more: once, whatever the restarts, and of the end as well.

use super::*;

const WATCHED: &str = "objectives:\n- {service: shop, objective: 99, errors: errors_total, total: requests_total}\n";

/// So many seconds, with a sample every ten where the shop is seen.
fn pass(world: &World, db: &Db, from: i64, seconds: i64, is_seen: bool) -> i64 {
    for s in (from..from + seconds).step_by(10) {
        world.clock.set(BEGIN + s * 1000);
        if is_seen {
            for (name, v) in [("requests_total", 10.0 * s as f64), ("errors_total", 0.0)] {
                db.append(one(name, &[], BEGIN + s * 1000, v)).unwrap();
            }
        }
        db.step();
    }
    from + seconds
}

/// Whether each message that was sent says that the shop is seen no more, or that it is again; the last few.
fn told(world: &World) -> Vec<&'static str> {
    let bodies = world.recorder.bodies.lock();
    let says = |body: &String| match () {
        () if !body.contains("\"alertname\":\"Blind\"") => "something else",
        () if body.contains("\"status\":\"resolved\"") => "sees again",
        () => "blind",
    };
    bodies.iter().map(says).collect()
}

#[test]
fn input_that_stops_is_told_once_over_restarts_and_so_is_its_end() {
    let world = World::new("", WATCHED);
    let mut db = world.open();
    let mut s = pass(&world, &db, 0, 1200, true);
    assert_eq!(told(&world), [""; 0], "nothing is said at the start");
    s = pass(&world, &db, s, 90, false);
    assert_eq!(told(&world), [""; 0], "a moment");
    s = pass(&world, &db, s, 210, false);
    assert_eq!(told(&world), ["blind"]);
    let body = world.recorder.bodies.lock()[0].clone();
    for part in ["\"service\":\"shop\"", "\"severity\":\"page\"", "nobody sees how shop is: availability: "] {
        assert!(body.contains(part), "{part} in {body}");
    }
    let listed: Vec<_> = db.alerts().iter().map(|alert| alert.labels.to_string()).collect();
    assert_eq!(listed, ["{alertname=\"Blind\", service=\"shop\", severity=\"page\"}"]);
    for _ in 0..2 {
        db.close().unwrap();
        db = world.open();
        s = pass(&world, &db, s, 300, false);
    }
    assert_eq!(told(&world), ["blind"], "a restart repeats nothing");
    s = pass(&world, &db, s, 40, true);
    assert_eq!(told(&world), ["blind"]);
    pass(&world, &db, s, 120, true);
    assert_eq!(told(&world), ["blind", "sees again"]);
    assert!(db.alerts().is_empty());
}

#[test]
fn other_rules_end_no_blindness() {
    let mut world = World::new("", WATCHED);
    let db = world.open();
    let s = pass(&world, &db, 0, 1200, true);
    let s = pass(&world, &db, s, 300, false);
    db.close().unwrap();
    world.watch.groups = evenkeel::config::parse_rules("rules.yml", HIGH).unwrap();
    let db = world.open();
    pass(&world, &db, s, 300, false);
    assert_eq!(told(&world), ["blind"]);
    db.reload(World::new("", WATCHED).watch).unwrap();
    pass(&world, &db, s + 300, 300, false);
    assert_eq!(told(&world), ["blind"]);
}

#[test]
fn blindness_has_a_route_of_its_own_if_somebody_makes_one() {
    let mut world = World::new("", WATCHED);
    let routing = world.watch.notify.routing.as_mut().unwrap();
    let matchers = vec![evenkeel::model::Matcher::equal("alertname", "Blind")];
    routing.route.routes.push(Route { matchers, ..Route { receiver: "pipeline".to_owned(), ..routing.route.clone() } });
    routing
        .receivers
        .push(Receiver { name: "pipeline".to_owned(), webhooks: vec![Webhook::new("http://127.0.0.1:2/")] });
    let db = world.open();
    let s = pass(&world, &db, 0, 1200, true);
    pass(&world, &db, s, 300, false);
    let bodies = world.recorder.bodies.lock();
    assert_eq!(bodies.len(), 1);
    assert!(bodies[0].contains("\"receiver\":\"pipeline\""), "{}", bodies[0]);
}
