//! Ctrl-C while no text is being typed. It ends what runs, never the program.

use tokio::runtime::Builder;
use tokio::sync::watch;

/// Tells of Ctrl-C.
#[derive(Debug)]
pub struct Interrupts(watch::Receiver<()>);

impl Interrupts {
    /// From now on Ctrl-C does not end the program any more. It is heard by a thread of its own,
    /// which no query keeps busy. Where the system cannot tell of it, it stays as it was.
    pub fn listen() -> Self {
        let (tell, told) = watch::channel(());
        let listen = move || {
            let Ok(runtime) = Builder::new_current_thread().enable_all().build() else { return };
            runtime.block_on(async {
                while tokio::signal::ctrl_c().await.is_ok() && tell.send(()).is_ok() {}
            });
        };
        // Without the thread the sender is gone, and none ever comes.
        drop(std::thread::Builder::new().name("amida-ctrl-c".into()).spawn(listen));
        Self(told)
    }

    /// None ever comes.
    #[cfg(test)]
    pub fn none() -> Self {
        Self(watch::channel(()).1)
    }

    /// What came until now does not count.
    pub fn forget(&mut self) {
        self.0.mark_unchanged();
    }

    /// Waits for the next.
    pub async fn next(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending().await
        }
    }
}
