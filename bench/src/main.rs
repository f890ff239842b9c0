//! `bench`: load for chatd, and a bare server to compare it with.
//!
//! It measures from outside, over sockets and /proc, and shares no code with the daemon. `bench/run` drives it;
//! `bench/README.md` says how to read the figures.
#![allow(clippy::cast_precision_loss, reason = "the figures are for people")]

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod attack;
mod bare;
mod clock;
mod control;
mod crowd;
mod follower;
mod histogram;
mod hostile;
mod ledger;
mod load;
mod posts;
mod process;
mod readers;
mod replay;
mod report;
mod slow;
mod socket;
mod syncs;
mod talk;
mod web;
mod wire;

#[derive(Parser)]
#[command(about, version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Relays v0.5 chats with no logic at all, to compare with
    Bare {
        /// Where to listen
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: SocketAddr,
    },
    /// Puts load on a server and reports figures
    Load(load::Load),
    /// Reads one room in every dialect at once
    Readers(readers::Readers),
    /// Posts as fast as posts are acknowledged
    Posts(posts::Posts),
    /// Talks without a server, and shows how long messages take
    Talk(talk::Talk),
    /// Follows a room from its first message on
    Replay(replay::Replay),
    /// Puts receivers that never read beside ones that do
    Slow(slow::Slow),
    /// Puts two witnesses beside hostile clients
    Hostile(hostile::Hostile),
    /// Is hostile: what `hostile` starts
    Attack(attack::Attack),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Bare { listen } => bare::serve(listen).map(|()| true),
        Command::Load(load) => load::run(load),
        Command::Readers(readers) => readers::run(readers),
        Command::Posts(posts) => posts::run(posts),
        Command::Talk(talk) => talk::run(&talk),
        Command::Replay(replay) => replay::run(&replay),
        Command::Slow(slow) => slow::run(&slow),
        Command::Hostile(hostile) => hostile::run(&hostile),
        Command::Attack(attack) => attack::run(&attack),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            #[allow(clippy::print_stderr, reason = "that is where errors go")]
            {
                eprintln!("bench: {error}");
            }
            ExitCode::from(2)
        }
    }
}
