//! The driver that ships: non-blocking sockets on epoll, by mio, edge triggered.
//!
//! It owns every socket, the signals' descriptor and a timer for pauses shorter than epoll's millisecond. It decides nothing: what
//! is ready is told to the turn, and what the turn asks for is one system call each.

use std::fs::File;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::time::Duration;

use hub::{ConnId, Measured, Peer};
use mio::event::{Event, Source};
use mio::net::{TcpStream, UnixStream};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use proto::{Now, Span, WallTime};

use crate::clock::Clock;
use crate::listen::Listener;
use crate::reload::Reader;
use crate::signals::{Asked, Signals};
use crate::sys::{bytes_held, tcp_way};
use crate::systemd::Notify;
use crate::systemd::reloading;
use crate::turn::{Driver, ListenerId, Ready, Reloaded};

/// Events taken from the kernel at once.
const EVENTS: usize = 1024;
/// Tokens from here on are no connections: no generation reaches so far.
const SIGNALS: Token = Token(usize::MAX);
const TIMER: Token = Token(usize::MAX - 1);
const WAKER: Token = Token(usize::MAX - 2);
pub(super) const LISTENERS: usize = usize::MAX - 1024;
/// epoll sleeps whole milliseconds; a shorter pause is the timer's.
const EPOLL_STEP: Duration = Duration::from_millis(1);
/// A pause up to this is timed exactly; a longer one may be a millisecond late.
const EXACT_MAX: Duration = Duration::from_millis(10);

/// A connection's socket.
#[derive(Debug)]
pub enum Stream {
    /// Over TCP.
    Tcp(TcpStream),
    /// On the control socket.
    Unix(UnixStream),
}

impl Stream {
    fn source(&mut self) -> &mut dyn Source {
        match self {
            Self::Tcp(stream) => stream,
            Self::Unix(stream) => stream,
        }
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(into),
            Self::Unix(stream) => stream.read(into),
        }
    }

    /// One part alone is a plain write: the kernel then has no list of parts to copy.
    fn write_vectored(&mut self, from: &[IoSlice<'_>]) -> io::Result<usize> {
        match (self, from) {
            (Self::Tcp(stream), [part]) => stream.write(part),
            (Self::Unix(stream), [part]) => stream.write(part),
            (Self::Tcp(stream), parts) => stream.write_vectored(parts),
            (Self::Unix(stream), parts) => stream.write_vectored(parts),
        }
    }

    /// What the kernel knows of it.
    fn measure(&self) -> Measured {
        let (way, held) = match self {
            Self::Tcp(stream) => (tcp_way(stream).ok(), bytes_held(stream)),
            Self::Unix(stream) => (None, bytes_held(stream)),
        };
        Measured {
            rtt_us: way.map(|way| way.rtt_us),
            kernel_bytes: held.ok(),
            under_way: way.map(|way| way.unacknowledged),
        }
    }

    /// Ends our direction. A peer that is gone already is no error.
    fn finish(&mut self) {
        let _ = match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
        };
    }

    /// Ends both directions. A peer that is gone already is no error. What has come and was not read is read away first: the kernel
    /// answers it with a reset otherwise, and drops what it still has to send.
    fn shutdown(&mut self) {
        let mut away = [0; 4096];
        for _ in 0..READS_AWAY_MAX {
            if self.read(&mut away).is_ok_and(|count| count > 0) {
                continue;
            }
            break;
        }
        let _ = match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Both),
            Self::Unix(stream) => stream.shutdown(Shutdown::Both),
        };
    }
}

/// The most reads that throw away what a closed connection said: as much as the kernel holds of it.
const READS_AWAY_MAX: usize = 32;

/// See the module.
pub struct MioDriver {
    pub(super) poll: Poll,
    events: Events,
    /// Each at its place as long as it is there.
    pub(super) listeners: Vec<Option<Listener>>,
    streams: Vec<Option<Stream>>,
    signals: Signals,
    /// What the process was told before its loop began.
    early: Vec<Ready>,
    timer: TimerFd,
    /// Kept so that there is one descriptor left when there are none.
    reserve: Option<File>,
    manager: Option<Notify>,
    /// Wakes the loop for what another thread has.
    waker: Arc<Waker>,
    pub(super) reader: Option<Reader>,
    clock: Clock,
}

impl MioDriver {
    /// A driver of these listeners, which are registered here, in their order. A signal that came before is told by the first poll.
    ///
    /// # Errors
    /// Those of epoll and timerfd: the process has no descriptors left.
    pub fn new(listeners: Vec<Listener>, signals: Signals, clock: Clock) -> io::Result<Self> {
        let poll = Poll::new()?;
        poll.registry().register(
            &mut SourceFd(&signals.as_raw_fd()),
            SIGNALS,
            Interest::READABLE,
        )?;
        let timer = TimerFd::new(
            ClockId::CLOCK_MONOTONIC,
            TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC,
        )?;
        poll.registry().register(
            &mut SourceFd(&timer.as_fd().as_raw_fd()),
            TIMER,
            Interest::READABLE,
        )?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let mut driver = Self {
            poll,
            events: Events::with_capacity(EVENTS),
            listeners: Vec::new(),
            streams: Vec::new(),
            signals,
            early: Vec::new(),
            timer,
            reserve: Some(reserve()?),
            manager: None,
            waker,
            reader: None,
            clock,
        };
        for listener in listeners {
            driver.install(listener)?;
        }
        Ok(driver)
    }

    /// The same, with a configuration that can be read anew.
    #[must_use]
    pub fn reading(mut self, reader: Reader) -> Self {
        self.reader = Some(reader);
        self
    }

    /// The same, with a service manager to be told how it goes.
    #[must_use]
    pub fn telling(mut self, manager: Option<Notify>) -> Self {
        self.manager = manager;
        self
    }

    /// What wakes the loop: a driver then sees a [`Ready::Waker`].
    pub fn waker(&self) -> Arc<Waker> {
        Arc::clone(&self.waker)
    }

    /// Whether the process was told to end before its loop began. What else it was told is told by the first poll.
    pub fn is_told_to_stop(&mut self) -> bool {
        while let Some(asked) = self.signals.take() {
            match told(asked) {
                Ready::Stop => return true,
                other => self.early.push(other),
            }
        }
        false
    }

    fn stream(&mut self, id: ConnId) -> io::Result<&mut Stream> {
        let found = self.streams.get_mut(id.index()).and_then(Option::as_mut);
        found.ok_or_else(|| io::Error::from(ErrorKind::NotConnected))
    }

    /// What epoll is told: a pause shorter than its step is left to the timer.
    fn sleep(&self, timeout: Option<Duration>) -> io::Result<Option<Duration>> {
        let Some(timeout) = timeout else { return Ok(None) };
        if timeout.is_zero()
            || timeout > EXACT_MAX
            || timeout.subsec_nanos().is_multiple_of(1_000_000)
        {
            return Ok(Some(timeout));
        }
        let once = Expiration::OneShot(TimeSpec::from_duration(timeout));
        self.timer.set(once, TimerSetTimeFlags::empty())?;
        Ok(Some(timeout + EPOLL_STEP))
    }
}

/// What a signal is to the loop.
const fn told(asked: Asked) -> Ready {
    match asked {
        Asked::Stop => Ready::Stop,
        Asked::Summary => Ready::Summary,
        Asked::Reload => Ready::Reload,
    }
}

impl Driver for MioDriver {
    type Stream = Stream;

    fn poll(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
        let timeout =
            if self.early.is_empty() { self.sleep(timeout)? } else { Some(Duration::ZERO) };
        ready.append(&mut self.early);
        match self.poll.poll(&mut self.events, timeout) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(error),
        }
        for event in &self.events {
            match event.token() {
                SIGNALS => {
                    while let Some(asked) = self.signals.take() {
                        ready.push(told(asked));
                    }
                }
                WAKER => ready.push(Ready::Waker),
                TIMER => {
                    // Set anew before the next pause; the edge has done its work.
                }
                Token(number) if number >= LISTENERS => {
                    ready.push(Ready::Listener(ListenerId(number - LISTENERS)));
                }
                Token(number) => ready.push(connection(number, event)),
            }
        }
        Ok(())
    }

    fn accept(&mut self, listener: ListenerId) -> io::Result<(Stream, Peer)> {
        // One that is no more has nobody waiting.
        let listener = self.listeners.get_mut(listener.0).and_then(Option::as_mut);
        listener.ok_or(ErrorKind::WouldBlock)?.accept()
    }

    fn register(&mut self, mut stream: Stream, id: ConnId) -> io::Result<()> {
        let token = Token(usize::try_from(id.as_u64()).expect("usize has 64 bits here"));
        self.poll.registry().register(
            stream.source(),
            token,
            Interest::READABLE | Interest::WRITABLE,
        )?;
        if self.streams.len() <= id.index() {
            self.streams.resize_with(id.index() + 1, || None);
        }
        let place = &mut self.streams[id.index()];
        assert!(place.is_none(), "a place is free before it is given again");
        *place = Some(stream);
        Ok(())
    }

    fn refuse(&mut self, mut stream: Stream, words: &[u8]) {
        if !words.is_empty() {
            // A peer that cannot take one short write at once goes without the reason.
            let _ = stream.write_vectored(&[IoSlice::new(words)]);
        }
        stream.shutdown();
    }

    fn shed(&mut self, listener: ListenerId) -> io::Result<()> {
        self.reserve = None;
        let listener = self.listeners.get_mut(listener.0).and_then(Option::as_mut);
        let shed = listener
            .ok_or_else(|| io::Error::from(ErrorKind::WouldBlock))
            .and_then(Listener::accept_and_close);
        // Somebody else may have taken the descriptor; then there is none to shed with until one is free.
        self.reserve = reserve().ok();
        shed
    }

    fn read(&mut self, id: ConnId, into: &mut [u8]) -> io::Result<usize> {
        self.stream(id)?.read(into)
    }

    fn write_vectored(&mut self, id: ConnId, from: &[IoSlice<'_>]) -> io::Result<usize> {
        self.stream(id)?.write_vectored(from)
    }

    fn finish(&mut self, id: ConnId) {
        if let Ok(stream) = self.stream(id) {
            stream.finish();
        }
    }

    fn shutdown(&mut self, id: ConnId) {
        if let Some(mut stream) = self.streams.get_mut(id.index()).and_then(Option::take) {
            // Closing takes it out of epoll, too: no other descriptor names this socket.
            stream.shutdown();
        }
    }

    fn measure(&mut self, id: ConnId) -> Measured {
        self.stream(id).map_or_else(|_| Measured::default(), |stream| stream.measure())
    }

    fn tell_manager(&mut self, words: &str) -> io::Result<()> {
        self.manager.as_ref().map_or(Ok(()), |manager| manager.say(words))
    }

    #[allow(clippy::disallowed_methods, reason = "an operator asked for a loop that is stuck")]
    fn stall(&mut self, span: Span) {
        std::thread::sleep(Duration::from_micros(span.as_micros()));
    }

    fn reload(&mut self) {
        // A manager that has no room for it hears of its end all the same.
        let _ = self.tell_manager(&reloading(Clock::monotonic()));
        self.reader.as_ref().expect("who may ask for it has one").begin(&self.waker);
    }

    fn reloaded(&mut self) -> Option<Result<Reloaded, String>> {
        let read = self.reader.as_mut()?.take()?;
        Some(read.and_then(|fresh| self.adopt(fresh)))
    }

    fn now(&self) -> Now {
        self.clock.now()
    }

    fn wall(&self) -> WallTime {
        Clock::wall()
    }
}

fn connection(number: usize, event: &Event) -> Ready {
    Ready::Connection {
        id: ConnId::from_u64(number as u64),
        readable: event.is_readable(),
        writable: event.is_writable(),
        read_closed: event.is_read_closed(),
        hang_up: event.is_error() || (event.is_read_closed() && event.is_write_closed()),
    }
}

fn reserve() -> io::Result<File> {
    File::open("/dev/null")
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream as Client;

    use nix::sys::signal::{Signal, raise};

    use super::*;

    const TCP: ListenerId = ListenerId(0);
    /// Long enough on any machine, and never waited for in full.
    const DEADLINE: Duration = Duration::from_secs(10);

    fn driver() -> (MioDriver, std::net::SocketAddr) {
        let local = "127.0.0.1:0".parse().unwrap();
        let listener = Listener::tcp(local, None, Box::new(|_| false)).unwrap();
        let address = listener.address().unwrap();
        let signals = Signals::block().unwrap();
        (MioDriver::new(vec![listener], signals, Clock::start()).unwrap(), address)
    }

    /// Polls until something was seen that fits.
    fn await_ready(driver: &mut MioDriver, fits: impl Fn(&Ready) -> bool) {
        let mut seen = Vec::new();
        let until = driver.now().as_micros() + u64::try_from(DEADLINE.as_micros()).unwrap();
        while !seen.iter().any(&fits) {
            assert!(driver.now().as_micros() < until, "not seen: {seen:?}");
            driver.poll(Some(DEADLINE), &mut seen).unwrap();
        }
    }

    #[test]
    fn a_connection_is_told_by_its_edges_and_closed_in_both_directions() {
        let (mut driver, address) = driver();
        let mut client = Client::connect(address).unwrap();
        client.set_read_timeout(Some(DEADLINE)).unwrap();
        await_ready(&mut driver, |ready| *ready == Ready::Listener(TCP));
        let (stream, peer) = driver.accept(TCP).unwrap();
        assert_eq!(*peer.address, client.local_addr().unwrap().to_string());
        assert_eq!(driver.accept(TCP).map(drop).unwrap_err().kind(), ErrorKind::WouldBlock);
        let id = ConnId::from_u64(7 << 32 | 3);
        driver.register(stream, id).unwrap();
        client.write_all(b"hello").unwrap();
        let readable = |ready: &Ready| matches!(ready, Ready::Connection { id: who, readable: true, .. } if *who == id);
        await_ready(&mut driver, readable);
        let mut bytes = [0; 16];
        assert_eq!(driver.read(id, &mut bytes).unwrap(), 5);
        assert_eq!(driver.read(id, &mut bytes).unwrap_err().kind(), ErrorKind::WouldBlock);
        let parts = [IoSlice::new(b"he"), IoSlice::new(b"llo")];
        assert_eq!(driver.write_vectored(id, &parts).unwrap(), 5);
        client.read_exact(&mut bytes[..5]).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        await_ready(&mut driver, |ready| {
            matches!(ready, Ready::Connection { read_closed: true, hang_up: false, .. })
        });
        driver.shutdown(id);
        assert_eq!(client.read(&mut bytes).unwrap(), 0);
        assert_eq!(driver.read(id, &mut bytes).unwrap_err().kind(), ErrorKind::NotConnected);
    }

    #[test]
    fn a_broken_connection_is_told_as_hung_up() {
        let (mut driver, address) = driver();
        let client = Client::connect(address).unwrap();
        await_ready(&mut driver, |ready| *ready == Ready::Listener(TCP));
        let (stream, _) = driver.accept(TCP).unwrap();
        let id = ConnId::from_u64(0);
        driver.register(stream, id).unwrap();
        driver.write_vectored(id, &[IoSlice::new(b"unread bytes make the close a reset")]).unwrap();
        let mut byte = [0];
        assert_eq!(client.peek(&mut byte).unwrap(), 1);
        drop(client);
        await_ready(&mut driver, |ready| matches!(ready, Ready::Connection { hang_up: true, .. }));
    }

    #[test]
    fn the_reserve_descriptor_turns_one_away_and_is_there_again() {
        let (mut driver, address) = driver();
        for _ in 0..3 {
            let mut client = Client::connect(address).unwrap();
            client.set_read_timeout(Some(DEADLINE)).unwrap();
            await_ready(&mut driver, |ready| *ready == Ready::Listener(TCP));
            driver.shed(TCP).unwrap();
            assert!(matches!(client.read(&mut [0]), Ok(0) | Err(_)));
            assert!(driver.reserve.is_some());
            assert_eq!(driver.shed(TCP).unwrap_err().kind(), ErrorKind::WouldBlock);
        }
    }

    #[test]
    fn what_a_peer_does_not_read_is_measured() {
        let (mut driver, address) = driver();
        let client = Client::connect(address).unwrap();
        await_ready(&mut driver, |ready| *ready == Ready::Listener(TCP));
        let (stream, _) = driver.accept(TCP).unwrap();
        let id = ConnId::from_u64(1);
        driver.register(stream, id).unwrap();
        let idle = driver.measure(id);
        assert!(idle.rtt_us.is_some() && (idle.kernel_bytes, idle.under_way) == (Some(0), Some(0)));
        let bytes = vec![0; 65_536];
        while driver.write_vectored(id, &[IoSlice::new(&bytes)]).is_ok() {}
        // The peer's kernel acknowledges what fits into its window, and then nothing is under way.
        let until = driver.now().as_micros() + u64::try_from(DEADLINE.as_micros()).unwrap();
        while driver.measure(id).under_way != Some(0) {
            assert!(driver.now().as_micros() < until, "{:?}", driver.measure(id));
            driver.poll(Some(EPOLL_STEP), &mut Vec::new()).unwrap();
        }
        assert!(driver.measure(id).kernel_bytes.is_some_and(|bytes| bytes > 0));
        drop(client);
        driver.shutdown(id);
        assert_eq!(driver.measure(id), Measured::default());
    }

    #[test]
    fn who_is_refused_gets_the_words_before_the_end() {
        let (mut driver, address) = driver();
        let mut client = Client::connect(address).unwrap();
        client.set_read_timeout(Some(DEADLINE)).unwrap();
        await_ready(&mut driver, |ready| *ready == Ready::Listener(TCP));
        let (stream, _) = driver.accept(TCP).unwrap();
        driver.refuse(stream, b"no room");
        let mut words = String::new();
        client.read_to_string(&mut words).unwrap();
        assert_eq!(words, "no room");
    }

    #[test]
    fn a_signal_that_came_before_the_first_poll_is_not_lost() {
        let signals = Signals::block().unwrap();
        raise(Signal::SIGTERM).unwrap();
        let mut driver = MioDriver::new(Vec::new(), signals, Clock::start()).unwrap();
        await_ready(&mut driver, |ready| *ready == Ready::Stop);
    }

    #[test]
    fn a_pause_shorter_than_epolls_step_is_neither_cut_nor_forgotten() {
        let (mut driver, _) = driver();
        for micros in [300, 1_700] {
            let begun = driver.now().as_micros();
            driver.poll(Some(Duration::from_micros(micros)), &mut Vec::new()).unwrap();
            assert!(driver.now().as_micros() - begun >= micros);
        }
    }
}
