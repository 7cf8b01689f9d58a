//! What cameras in the field do, each by its name.

/// One quirk of a camera that otherwise plays real footage well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quirk {
    /// None: the good camera that stands beside the others.
    Plain,

    /// The description has no parameter sets.
    NoParameterSets,
    /// The description's parameter sets are no base64.
    WrongParameterSets,
    /// The description names a clock of 8,000 ticks a second; the packets count 90,000.
    WrongClockRate,
    /// The description has no `a=control` and no framing lines beyond what a player needs.
    BareDescription,
    /// The description is empty.
    EmptyDescription,
    /// A line of the description is no line of any description.
    MalformedDescription,
    /// The description never ends.
    EndlessDescription,
    /// The description offers only sound and a coding that nobody decodes.
    NoVideo,

    /// No RTCP at all.
    NoSenderReport,
    /// The camera's clock is set an hour ahead after two seconds.
    ClockJumpsForward,
    /// The camera's clock is set an hour back after two seconds.
    ClockJumpsBack,

    /// Every 25th packet is missing.
    LostPackets,
    /// Two packets of every few pictures change places.
    ReorderedPackets,
    /// Every packet comes twice.
    DoubledPackets,
    /// A packet of every tenth picture comes behind the next picture.
    LatePackets,
    /// Refuses to send beside the RTSP connection.
    OnlyInterleaved,
    /// Bytes leave in pieces of one to nine.
    SplitAnywhere,
    /// The connection ends in the middle of a packet after two seconds.
    CutHalfway,
    /// Another source number after two seconds, as after an encoder's restart.
    SourceChanges,
    /// The sequence numbers begin anew, far back, after two seconds.
    SequenceJumps,

    /// Other footage with other parameter sets after two seconds.
    ResolutionSwitches,
    /// Keyframes are left out.
    NoIdr,
    /// After a second, one picture of 20 MB.
    HugePicture,
    /// After a second, a picture that never ends.
    EndlessPicture,
    /// A hundred times the speed.
    HundredfoldSpeed,

    /// Digest as RFC 2617 has it.
    DigestQop,
    /// Digest as RFC 2069 had it.
    DigestWithoutQop,
    /// Digest with SHA-256.
    DigestSha256,
    /// Basic and digest, in this order.
    BasicAndDigest,
    /// Basic and nothing else.
    BasicOnly,
    /// The first connection's nonce is stale when SETUP uses it.
    StaleNonce,
    /// Every nonce is stale.
    AlwaysStale,
    /// Describes itself to anyone and asks for the account at SETUP.
    AsksAtSetup,
    /// The same, readable by anyone on the way.
    AsksBasicAtSetup,
    /// The account is refused after two seconds: nothing more comes, and keepalives are answered 401; the socket stays open.
    AccountChanges,

    /// DESCRIBE redirects to another path of this camera.
    Redirects,
    /// DESCRIBE redirects to itself.
    RedirectsInCircles,
    /// DESCRIBE redirects to another camera.
    RedirectsAway,

    /// The session ends after two seconds without a keepalive, as announced.
    ShortTimeout,
    /// Keepalives are not answered.
    IgnoresKeepalive,
    /// The first keepalive is answered 401, and the connection closes.
    UnauthorizedInSession,
    /// The first keepalive is answered 454, and the connection closes.
    SessionNotFound,
    /// Keepalives are answered 401 with a new nonce and nothing more comes from the first on; the socket stays open, and the account is right.
    ///
    /// The library that pulls logs what a keepalive is answered and tells nobody, and it keeps the session's id to itself, so that nothing else
    /// can ask about the session either. What ends it is that no picture comes in time; the cause says so and what may lie behind it.
    UnauthorizedLeftOpen,
    /// The same with 454.
    SessionNotFoundLeftOpen,
    /// Keepalives are answered 454 and the pictures go on, as from cameras that know no such request.
    RefusesKeepalive,
    /// Nothing comes after two seconds; the socket stays open.
    StallsLater,
    /// The same on its first connection only, as when a router forgets its way back.
    StallsOnce,
}

impl Quirk {
    /// True when nothing comes any more from some time on and nobody hangs up.
    pub(super) fn falls_silent(self) -> bool {
        matches!(
            self,
            Quirk::StallsLater
                | Quirk::StallsOnce
                | Quirk::AccountChanges
                | Quirk::UnauthorizedLeftOpen
                | Quirk::SessionNotFoundLeftOpen
        )
    }

    /// True when keepalives are wanted every other second.
    pub(super) fn times_out_soon(self) -> bool {
        matches!(
            self,
            Quirk::IgnoresKeepalive
                | Quirk::UnauthorizedInSession
                | Quirk::SessionNotFound
                | Quirk::AccountChanges
                | Quirk::UnauthorizedLeftOpen
                | Quirk::SessionNotFoundLeftOpen
                | Quirk::RefusesKeepalive
        )
    }

    /// True when the camera asks for an account.
    pub(super) fn asks(self) -> bool {
        matches!(
            self,
            Quirk::DigestQop
                | Quirk::DigestWithoutQop
                | Quirk::DigestSha256
                | Quirk::BasicAndDigest
                | Quirk::BasicOnly
                | Quirk::StaleNonce
                | Quirk::AlwaysStale
                | Quirk::AsksAtSetup
                | Quirk::AsksBasicAtSetup
                | Quirk::AccountChanges
                | Quirk::UnauthorizedLeftOpen
        )
    }
}
