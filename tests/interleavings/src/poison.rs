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

/// `Store::sync` looked at the poison before it had the log: while another sync failed it passed,
/// found nothing left to sync, and said that everything was safe.
#[test]
fn every_sync_that_was_under_way_is_told_that_one_failed() {
    every_interleaving("every_sync_that_was_under_way", || {
        let store = Store::without_syncs(Some(0));
        assert_eq!(store.append(1), Ok(1));
        let others: Vec<_> = (0..2).map(|_| start(&store, Store::sync)).collect();
        assert_eq!(store.sync(), Err("sync 0 failed".to_owned()));
        for other in others {
            assert_eq!(other.join().unwrap(), Err("sync 0 failed".to_owned()));
        }
        assert!(!store.is_synced(1));
    });
}

#[test]
fn appends_beside_a_sync_that_fails_are_stored_before_it_or_told() {
    every_interleaving("appends_beside_a_sync_that_fails", || {
        let store = Store::without_syncs(Some(0));
        let appends: Vec<_> = (1..3).map(|n| start(&store, move |s| s.append(n))).collect();
        let synced = store.sync();
        let after = store.append(3);
        assert_eq!(synced.is_ok(), after.is_ok(), "{synced:?}, then {after:?}");
        let written = store.written();
        for (append, number) in appends.into_iter().zip(1..) {
            let answer = append.join().unwrap();
            assert!(answer.is_ok() || answer == Err("sync 0 failed".to_owned()));
            assert!(answer.is_ok() || !written.contains(&number));
        }
    });
}
