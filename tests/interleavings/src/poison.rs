//! After a failed sync nothing is acknowledged, and everybody gets the first cause.

use crate::every_interleaving;
use crate::group_commit::{Store, start};

#[test]
fn nobody_is_acknowledged_after_a_failed_sync() {
    every_interleaving("nobody_is_acknowledged", || {
        let store = Store::new(1, Some(1));
        let appends: Vec<_> = (1..3).map(|n| start(&store, move |s| s.append(n))).collect();
        let own = store.append(3);
        let mut answers = vec![own];
        answers.extend(appends.into_iter().map(|append| append.join().unwrap()));
        // Groups of one: the first sync held, and no other.
        let failed: Vec<_> = answers.into_iter().filter_map(Result::err).collect();
        assert_eq!(failed, ["sync 1 failed"; 2]);
        assert_eq!(store.append(4), Err("sync 1 failed".to_owned()));
    });
}

#[test]
fn a_sync_that_fails_beside_appends_stops_them() {
    every_interleaving("a_sync_that_fails", || {
        let store = Store::new(100, Some(0));
        let appends: Vec<_> = (1..3).map(|n| start(&store, move |s| s.append(n))).collect();
        assert_eq!(store.sync(), Err("sync 0 failed".to_owned()));
        for append in appends {
            assert_eq!(append.join().unwrap(), Err("sync 0 failed".to_owned()));
        }
        assert!(!store.is_synced(1) && !store.is_synced(2));
    });
}
