//! What is true in every schedule.

use std::io::ErrorKind;
use std::time::Duration;

use amida::Fault;
use shuttle::rand::{Rng, thread_rng};

use crate::schedules;
use crate::world::{World, join, options};

#[test]
fn one_writer_two_readers_and_a_compactor_agree() {
    schedules("one_writer_two_readers_and_a_compactor", 20, || {
        let world = World::new(options);
        let reader = |world: &World| {
            let looks = [world.look(), world.look()];
            looks[0].again();
        };
        let threads = [
            world.start(|world| {
                world.append(1..3);
                world.submit(3);
                world.append(4..5);
            }),
            world.start(reader),
            world.start(reader),
            world.start(|world| {
                world.store.flush().unwrap();
                world.store.compact().unwrap();
            }),
        ];
        let early = world.look();
        join(threads);
        world.look();
        early.again();
        assert_eq!(world.nothing_that_failed_was_seen(), 0);
        world.store.clone().close().unwrap();
        world.lose_power();
    });
}

#[test]
fn appends_that_wait_for_room_are_stored_by_the_background_flush() {
    schedules("appends_that_wait_for_room", 20, || {
        // Each span counts 400 bytes: every second one seals, and a third has to wait.
        let world = World::new(|disk| {
            let never = Duration::from_secs(1 << 20);
            options(disk).seal_bytes(800).wal_bytes_max(900).stall_max(never)
        });
        let threads = [
            world.start(|world| world.append(1..4)),
            world.start(|world| world.append(4..6)),
            world.start(|world| {
                world.look().again();
            }),
        ];
        join(threads);
        world.look();
        assert_eq!(world.nothing_that_failed_was_seen(), 0);
        world.store.clone().close().unwrap();
        world.lose_power();
    });
}

#[test]
fn a_fault_at_any_call_is_told_to_those_it_hit_and_loses_nothing() {
    schedules("a_fault_at_any_call", 40, || {
        let world = World::new(options);
        let mut random = thread_rng();
        let fault = match random.gen_range(0..5) {
            0 => Fault::new(ErrorKind::Other).once(),
            1 => Fault::new(ErrorKind::StorageFull).once(),
            2 => Fault::new(ErrorKind::StorageFull).once().short_write(20),
            3 => Fault::new(ErrorKind::Other).once().syncs_only(),
            _ => Fault::new(ErrorKind::Other),
        };
        let calls = if random.gen_bool(0.5) { 12 } else { 60 };
        world.disk.fail_after(random.gen_range(0..calls), fault);
        let threads = [
            world.start(|world| world.append(1..3)),
            world.start(|world| world.append(3..5)),
            world.start(|world| {
                // Whether these work is not the question.
                let _ = world.store.sync();
                let _ = world.store.flush();
            }),
        ];
        let early = world.look();
        join(threads);
        world.look();
        early.again();
        world.nothing_that_failed_was_seen();
        world.disk.heal();
        let _ = world.store.clone().close();
        world.lose_power();
    });
}

#[test]
fn nothing_touches_the_directory_of_a_closed_store() {
    schedules("nothing_touches_the_directory", 20, || {
        let world = World::new(options);
        world.append(1..2);
        let threads = [
            world.start(|world| world.append(2..4)),
            world.start(|world| {
                let _ = world.store.compact();
            }),
            world.start(|world| {
                let _ = world.store.flush();
                let _ = world.store.sync();
            }),
        ];
        world.store.clone().close().unwrap();
        // Another writer may have the directory from now on.
        let calls = world.disk.calls();
        join(threads);
        assert_eq!(world.disk.calls(), calls, "a closed store has changed its directory");
        world.look();
        world.nothing_that_failed_was_seen();
        world.reopen(&world.disk).close().unwrap();
        world.lose_power();
    });
}
