//! Bugs that are put in on purpose, for the simulator to find: a simulator that finds none of them proves nothing.
//!
//! Without the feature `planted` nothing here can be switched on: [`Settings::plants`](crate::Settings::plants) is
//! constantly false, and the compiler leaves the places out where the bugs would strike.

/// A bug by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Planted {
    /// Now and then one member of a room does not get what all others get.
    SkippedReceiver,
    /// After a write that ended inside a frame, the frame begins again.
    DoubleAfterShortWrite,
    /// The turn forgets a connection that stopped at its budget.
    LostCarryOver,
    /// The turn takes the event of a dead connection for the newborn one's in its place.
    StaleToken,
    /// The timer wheel deals timers out one turn too late.
    WheelCascade,
    /// An author's run is not split where its own message is.
    RunAcrossExcluded,
    /// What was held for an undecided connection comes out newest first.
    BacklogOrder,
    /// A closed connection keeps its blocks alive.
    LeakedBlock,
    /// A receipt that is given again is told again.
    ReceiptTwice,
    /// A message to a nickname goes to who had that name first.
    StaleOwner,
    /// A replay that others spoke into ends without its last message.
    SeamDropsOne,
    /// A replay ends before the turn's blocks are handed out, and they are handed out whole.
    SeamDoublesOne,
    /// A gap that leaves out several messages begins one too late.
    GapOffByOne,
    /// Who is kicked or banned stays.
    KickStays,
    /// Everybody may have a banned name.
    BanForgotten,
    /// Who goes from a large room is left out of what is told of it.
    PresenceForgets,
    /// What is said in a talk does not pass the turn.
    TurnStays,
    /// Now and then two who go together both go on waiting.
    InvitationForgotten,
    /// A post is acknowledged before the store has it.
    AcknowledgedEarly,
    /// The store lets a message be heard before it has it, though it is not asked to.
    HeardEarly,
    /// A daemon that starts takes no account of the numbers that were shown and lost.
    NumberGivenAgain,
    /// The store forgets all ids when its daemon ends.
    IdForgotten,
    /// A post that comes again is told a number of its own.
    FirstReplyForgotten,
    /// A post of which nobody knows what became is refused.
    UnknownIsNo,
    /// A replay from the disk leaves out what comes first behind a page.
    PageSkipsOne,
    /// A replay says nothing of what retention took.
    GoneUntold,
}

impl Planted {
    /// Every bug.
    pub const ALL: [Self; 26] = [
        Self::SkippedReceiver,
        Self::DoubleAfterShortWrite,
        Self::LostCarryOver,
        Self::StaleToken,
        Self::WheelCascade,
        Self::RunAcrossExcluded,
        Self::BacklogOrder,
        Self::LeakedBlock,
        Self::ReceiptTwice,
        Self::StaleOwner,
        Self::SeamDropsOne,
        Self::SeamDoublesOne,
        Self::GapOffByOne,
        Self::KickStays,
        Self::BanForgotten,
        Self::PresenceForgets,
        Self::TurnStays,
        Self::InvitationForgotten,
        Self::AcknowledgedEarly,
        Self::HeardEarly,
        Self::NumberGivenAgain,
        Self::IdForgotten,
        Self::FirstReplyForgotten,
        Self::UnknownIsNo,
        Self::PageSkipsOne,
        Self::GoneUntold,
    ];

    /// The bug's name, as the simulator is asked for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::SkippedReceiver => "skipped_receiver",
            Self::DoubleAfterShortWrite => "double_after_short_write",
            Self::LostCarryOver => "lost_carry_over",
            Self::StaleToken => "stale_token",
            Self::WheelCascade => "wheel_cascade",
            Self::RunAcrossExcluded => "run_across_excluded",
            Self::BacklogOrder => "backlog_order",
            Self::LeakedBlock => "leaked_block",
            Self::ReceiptTwice => "receipt_twice",
            Self::StaleOwner => "stale_owner",
            Self::SeamDropsOne => "seam_drops_one",
            Self::SeamDoublesOne => "seam_doubles_one",
            Self::GapOffByOne => "gap_off_by_one",
            Self::KickStays => "kick_stays",
            Self::BanForgotten => "ban_forgotten",
            Self::PresenceForgets => "presence_forgets",
            Self::TurnStays => "turn_stays",
            Self::InvitationForgotten => "invitation_forgotten",
            Self::AcknowledgedEarly => "acknowledged_early",
            Self::HeardEarly => "heard_early",
            Self::NumberGivenAgain => "number_given_again",
            Self::IdForgotten => "id_forgotten",
            Self::FirstReplyForgotten => "first_reply_forgotten",
            Self::UnknownIsNo => "unknown_is_no",
            Self::PageSkipsOne => "page_skips_one",
            Self::GoneUntold => "gone_untold",
        }
    }
}
