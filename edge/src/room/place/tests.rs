use super::*;

fn id(client: u64, clock: u64) -> Id {
    Id { client, clock }
}

fn root(name: &'static str, key: Option<&'static str>) -> Place<'static> {
    Place::Inside {
        parent: Parent::Root(name),
        key,
    }
}

fn between(left: Id, right: Id) -> Place<'static> {
    Place::Beside {
        left: Some(left),
        right: Some(right),
    }
}

fn behind(left: Id) -> Place<'static> {
    Place::Beside {
        left: Some(left),
        right: None,
    }
}

fn inside(parent: Id) -> Place<'static> {
    Place::Inside {
        parent: Parent::Nested(parent),
        key: None,
    }
}

/// Takes in structs of one unit each. No type is deleted.
fn take(places: &mut Places, given: &[(Id, Place<'_>)]) -> Result<(), Unfit> {
    let mut given = given.to_vec();
    given.sort_by_key(|(id, _)| (std::cmp::Reverse(id.client), id.clock));
    let mut structs = Structs::default();
    for (id, place) in given {
        structs.push(id, 1, Kind::Text, place, 0);
    }
    places.find(&structs, &mut Work::new(1_000_000), Some(&|_| false))?;
    places.keep(&structs, |_| u64::MAX);
    Ok(())
}

#[test]
fn neighbours_are_of_one_list() {
    let mut places = Places::default();
    let first = [
        (id(7, 0), root("a", None)),
        (id(7, 1), root("b", None)),
        (id(7, 2), root("a", Some("k"))),
        (id(7, 3), behind(id(7, 0))),
    ];
    take(&mut places, &first).unwrap();
    for (left, right) in [(0, 1), (0, 2), (1, 3), (3, 2)] {
        let mixed = between(id(7, left), id(7, right));
        assert!(
            take(&mut places, &[(id(8, 0), mixed)]).is_err(),
            "{left} {right}"
        );
    }
    take(&mut places, &[(id(8, 0), between(id(7, 0), id(7, 3)))]).unwrap();
    let inherits = [(id(8, 1), between(id(8, 0), id(7, 1)))];
    assert!(
        take(&mut places, &inherits).is_err(),
        "the list of the one before is known"
    );
}

#[test]
fn order_of_the_bytes_does_not_matter() {
    let mut places = Places::default();
    // The higher client comes first, and depends on the lower one.
    let given = [
        (id(9, 0), behind(id(8, 1))),
        (id(9, 1), root("b", None)),
        (id(8, 0), root("a", None)),
        (id(8, 1), behind(id(8, 0))),
    ];
    take(&mut places, &given).unwrap();
    assert!(take(&mut places, &[(id(7, 0), between(id(9, 0), id(9, 1)))]).is_err());
    assert!(take(&mut places, &[(id(7, 0), between(id(8, 1), id(9, 0)))]).is_ok());
}

#[test]
fn what_depends_on_itself_is_refused() {
    let mut places = Places::default();
    let circle = [(id(9, 0), behind(id(8, 0))), (id(8, 0), behind(id(9, 0)))];
    assert!(take(&mut places, &circle).is_err());
    let long: Vec<_> = (0..50_000)
        .map(|n| (id(100_000 - n, 0), behind(id(99_999 - n, 0))))
        .chain([(id(50_000, 0), root("a", None))])
        .collect();
    take(&mut places, &long).unwrap();
}

#[test]
fn depth_is_counted_through_neighbours() {
    let mut places = Places::default();
    take(&mut places, &[(id(7, 0), root("a", None))]).unwrap();
    let mut clock = 0;
    for _ in 0..DEPTH_MAX {
        let nested = [(id(7, clock + 1), inside(id(7, clock)))];
        take(&mut places, &nested).unwrap();
        take(&mut places, &[(id(7, clock + 2), behind(id(7, clock + 1)))]).unwrap();
        clock += 2;
    }
    assert!(take(&mut places, &[(id(7, clock + 1), inside(id(7, clock)))]).is_err());
}

#[test]
fn what_stands_beside_what_is_gone_is_gone() {
    let mut places = Places::default();
    let given = [
        (id(7, 0), Place::Nowhere),
        (id(7, 1), root("a", None)),
        (id(7, 2), behind(id(7, 0))),
        (id(7, 3), inside(id(7, 0))),
        (id(7, 4), between(id(7, 2), id(7, 0))),
    ];
    take(&mut places, &given).unwrap();
    for clock in 2..5 {
        assert_eq!(places.order.list_of(id(7, clock)), NOWHERE);
    }
}

#[test]
fn between_what_is_gone_and_what_is_not_there_is_only_what_is_going() {
    let given = [
        (id(7, 0), Place::Nowhere),
        (id(7, 1), root("a", None)),
        (id(7, 2), inside(id(7, 1))),
    ];
    let torn = [between(id(7, 0), id(7, 2)), between(id(7, 2), id(7, 0))];
    for torn in torn {
        for (deleted, deletes, fits) in [
            (false, None, false),
            (true, None, true),
            (false, Some((id(7, 0), 2)), true),
            (false, Some((id(7, 2), 1)), false),
        ] {
            let mut places = Places::default();
            take(&mut places, &given).unwrap();
            let mut structs = Structs::default();
            structs.push(id(7, 3), 1, Kind::Text, torn, 0);
            if let Some((id, length)) = deletes {
                structs.push_deletion(id, length);
            }
            let found = places.find(&structs, &mut Work::new(9), Some(&|_| deleted));
            assert_eq!(found.is_ok(), fits);
        }
        // A root is never deleted.
        let mut places = Places::default();
        let root = [(id(7, 0), Place::Nowhere), (id(7, 2), root("a", None))];
        let given = [root[0], (id(7, 1), Place::Nowhere), root[1]];
        take(&mut places, &given).unwrap();
        let mut structs = Structs::default();
        structs.push(id(7, 3), 1, Kind::Text, torn, 0);
        assert!(
            places
                .find(&structs, &mut Work::new(9), Some(&|_| true))
                .is_err()
        );
    }
}

#[test]
fn a_value_of_a_key_is_one_unit_unless_it_is_gone() {
    let find = |length, kind, place, deletions: &[(Id, u64)]| {
        let mut places = Places::default();
        let mut structs = Structs::default();
        structs.push(id(7, 0), length, kind, place, 0);
        for (id, length) in deletions {
            structs.push_deletion(*id, *length);
        }
        places.find(&structs, &mut Work::new(9), Some(&|_| false))
    };
    let keyed = root("a", Some("k"));
    assert!(find(2, Kind::Values, keyed, &[]).is_err());
    assert!(find(2, Kind::Text, keyed, &[]).is_err());
    assert!(find(2, Kind::Tombstone, keyed, &[]).is_ok());
    assert!(find(1, Kind::Text, keyed, &[]).is_ok());
    assert!(find(2, Kind::Text, root("a", None), &[]).is_ok());

    // All of it deleted by the same update, whichever way round the clients are.
    let all = (id(7, 0), 3);
    for others in [[id(9, 0), id(8, 0)], [id(5, 0), id(6, 0)]] {
        let deletions = [(others[0], 4), (others[1], 4), all];
        assert!(find(3, Kind::Values, keyed, &deletions).is_ok());
        assert!(find(3, Kind::Values, keyed, &deletions[..2]).is_err());
        let parts = [(others[0], 1), (id(7, 0), 1), (id(7, 1), 2)];
        assert!(find(3, Kind::Values, keyed, &parts).is_ok());
        assert!(find(3, Kind::Text, keyed, &parts).is_err());
    }
    for part in [(id(7, 0), 2), (id(7, 1), 2), (id(7, 5), 9)] {
        assert!(find(3, Kind::Values, keyed, &[part]).is_err(), "{part:?}");
    }
    let hole = [(id(7, 0), 1), (id(7, 2), 1)];
    assert!(find(3, Kind::Values, keyed, &hole).is_err());
}

#[test]
fn typing_is_one_run() {
    let mut places = Places::default();
    take(&mut places, &[(id(7, 0), root("a", None))]).unwrap();
    for clock in 1..100 {
        take(&mut places, &[(id(7, clock), behind(id(7, clock - 1)))]).unwrap();
    }
    assert_eq!(places.order.pieces(), 1);
}

/// "ab" by 5, and between the two letters, without knowing of each other, one by 6 and one by 7.
fn a_six_seven_b() -> Places {
    let (a, b) = (id(5, 0), id(5, 1));
    let mut places = Places::default();
    take(&mut places, &[(a, root("t", None)), (b, behind(a))]).unwrap();
    take(&mut places, &[(id(6, 0), between(a, b))]).unwrap();
    take(&mut places, &[(id(7, 0), between(a, b))]).unwrap();
    places
}

#[test]
fn a_right_that_is_never_met_says_nothing() {
    let order = [id(5, 0), id(6, 0), id(7, 0), id(5, 1)];
    for (l, left) in order.iter().enumerate() {
        for right in &order[..=l] {
            let mut places = a_six_seven_b();
            let mut structs = Structs::default();
            structs.push(id(8, 0), 1, Kind::Text, between(*left, *right), 77);
            let found = places.find(&structs, &mut Work::new(9), Some(&|_| false));
            assert_eq!(found, Ok(()), "{left:?} {right:?}");
            // It is left out where `yrs` would split what left is in.
            let of_one_run = left.client == right.client;
            assert_eq!(places.idle_rights() == [77], of_one_run);
        }
    }
}

#[test]
fn nothing_comes_to_stand_in_the_middle_of_what_is_below_another() {
    // Behind the one of 6 stands one of 9. Who is larger than 6 passes it, and stops before that.
    let mut places = a_six_seven_b();
    take(&mut places, &[(id(9, 0), between(id(6, 0), id(5, 1)))]).unwrap();
    assert!(take(&mut places, &[(id(8, 0), between(id(5, 0), id(9, 0)))]).is_err());
    take(&mut places, &[(id(3, 0), between(id(5, 0), id(9, 0)))]).unwrap();
    take(&mut places, &[(id(6, 1), between(id(5, 0), id(9, 0)))]).unwrap();
    let first = Place::Beside {
        left: None,
        right: Some(id(6, 0)),
    };
    assert!(take(&mut places, &[(id(8, 0), first)]).is_err());
    take(&mut places, &[(id(4, 0), first)]).unwrap();
    take(&mut places, &[(id(8, 0), between(id(9, 0), id(7, 0)))]).unwrap();
    take(&mut places, &[(id(8, 1), between(id(8, 0), id(5, 1)))]).unwrap();
}

#[test]
fn what_is_refused_leaves_nothing_behind() {
    let mut places = a_six_seven_b();
    let pieces = places.order.pieces();
    let last_is_refused = [
        (id(9, 0), between(id(5, 0), id(6, 0))),
        (id(9, 1), behind(id(6, 0))),
        (id(8, 0), root("new", None)),
        (id(8, 1), behind(id(6, 0))),
        (id(7, 1), between(id(5, 0), id(8, 1))),
    ];
    assert!(take(&mut places, &last_is_refused).is_err());
    assert_eq!(places.order.pieces(), pieces);
    assert_eq!(places.order.end_of(9), 0);
    take(&mut places, &[(id(9, 0), between(id(6, 0), id(7, 0)))]).unwrap();
}
