/* Holdfast's resume protocol, for exhaustive search with spin.
 *
 * "Rule n" is rule n of docs/PROTOCOL.md. One client, one server, one link, N streams, one carrier
 * per attempt. README.md beside this file says what is modelled, what is left out and why.
 *
 * Sizes (-D):   N streams, B bytes each way, Q frames in flight, CUTS carriers lost, EVENTS others.
 * Events (-D):  ABORTS KILLS REFUSALS GRACE RESTART GOODBYE; they share the budget EVENTS.
 *               CRASH (a process dies and another goes on with its records: rule 14), LOSE (a record
 *               cannot be read back then).
 * Also (-D):    OTHER (a second server answers, costs a cut), GONE (an event: the link's own server
 *               never comes back, another one answers), CREDIT (limits are enforced).
 * Mutants (-D): M_..., each drops or bends one rule; scripts/check-model shows that all are caught.
 *
 * How liveness is checked: every step moves something forward, so every run ends (check-model
 * searches for cycles as well). Both budgets are drawn at the start, from 0 up. A run that has used
 * its budget up cannot be rescued by a later fault, so a wait for something that never comes shows
 * as a final state with a record left, and process Final fails.
 */
#ifndef N
#define N 1
#endif
#ifndef B
#define B 1
#endif
#ifndef Q
#define Q 2
#endif
#ifndef CUTS
#define CUTS 1
#endif
#ifndef EVENTS
#define EVENTS 0
#endif
#ifdef GONE
#define OTHER
#endif
/* A restart, a server's goodbye, its end and a death cost an attempt each, beside the cuts. */
#if defined(RESTART) || defined(GOODBYE) || defined(GONE) || defined(CRASH)
#define ATTEMPTS (CUTS + 1 + EVENTS)
#else
#define ATTEMPTS (CUTS + 1)
#endif
#define UNLIMITED 7
#ifdef CREDIT
#define INITIAL_LIMIT 1
#else
#define INITIAL_LIMIT UNLIMITED
#endif

#define C 0
#define S 1

/* The client's link. */
#define DOWN 0
#define WAIT 1 /* HELLO written, WELCOME not applied */
#define UP 2
#define OVER 3

#define OPEN 1
#define DATA 2
#define FIN 3
#define ABORT 4
#define RESET 5
#define ACK 6
#define BYE 7
#define WELCOME 8
#define UNKNOWN 9
#define OTHERS_UNKNOWN 10 /* UNKNOWN from another server's name */

/* What became of the application's socket, beside FINs. */
#define ALIVE 0
#define RESET_BY_AGENT 1
#define RESET_BY_APP 2
#define MOVED 3 /* to the client's next or second link (rule 4), which is not modelled */

/* One side's record of one stream, and its application's socket. */
typedef Half {
  unsigned held : 1;
  unsigned bytes : 2;   /* read from the application */
  unsigned fin : 1;     /* its EOF was read */
  unsigned abort : 1;   /* own ABORT: the application's reset, in order */
  unsigned reset : 1;   /* own RESET waits to be written */
  unsigned next : 3;    /* next offset to send on this carrier */
  unsigned sent : 3;    /* highest offset ever written */
  unsigned acked : 3;
  unsigned limit : 3;   /* the peer's, as we know it */
  unsigned r_bytes : 2; /* received: bytes, then end marks */
  unsigned r_fin : 1;
  unsigned r_abort : 1;
  unsigned delivered : 3;
  unsigned ack_out : 3;   /* the ack last written on this carrier, or in its table */
  unsigned limit_out : 3; /* the limit last announced */
  unsigned open_sent : 1; /* client: OPEN written on this carrier, or known to the peer */
  unsigned open_ever : 1; /* client: OPEN written on any carrier */
  unsigned socket : 2;
#ifdef CRASH
  unsigned foretold : 1; /* the peer's ABORT was read once (own log dropped), and forgotten by a crash */
#endif
#if defined(M_14_w) || defined(M_14_r) || defined(M_14_received)
  unsigned wrong : 1; /* what the mutant left behind: see there */
#endif
};
Half h[2 * N];

/* The live carrier. A carrier that the server still believes in but the client left has frames in
 * c2s only; what is written to a peer that left is lost; what an abandoned carrier still held
 * towards the side that left it is lost with it. So two channels do for all carriers. */
chan c2s = [Q] of {byte, byte};
chan s2c = [Q] of {byte, byte};

byte phase = DOWN;
byte attempt;        /* client: attempts made; the newest is carrier `attempt` */
byte carrier;        /* client: the carrier in use when WAIT or UP */
byte instance;       /* client: 0 until the first WELCOME is applied */
byte assigned;       /* client: highest id assigned */
bool server_left;    /* the server has closed the client's carrier */

bool s_link;         /* server: the link exists */
byte s_instance;
byte s_instances;    /* drawn so far; fresh ones are never repeated */
byte s_attempt;      /* highest accepted */
byte s_carrier;      /* 0: none, grace runs */
byte s_highest;
bool refused[N];     /* RESET for an OPEN that was refused; no record (rule 7) */

/* HELLOs that the server has not read yet, and the WELCOME in s2c: tables. */
bool hello[ATTEMPTS + 1];
byte hello_instance[ATTEMPTS + 1];
short hello_table[(ATTEMPTS + 1) * N];
byte welcome_instance;
byte welcome_highest;
short welcome_table[N];

bool elsewhere;      /* client: another server answered, and has what is new (rule 4) */
bool gone;           /* the link's own server never comes back */

byte cuts;
byte events;

/* Ghosts: only properties read them. */
bool opened[N];      /* a backend connection was made */
bool disturbed[N];   /* something other than an application may have reset this stream */

/* Scratch inside a step; not part of the state. */
hidden byte t, f, v, j, y, p;
hidden short e;

#define ON_CARRIER (phase == WAIT || phase == UP)
#define SERVER_SEEN (ON_CARRIER && carrier == s_carrier)
#define RECEIVED(x) (h[x].r_bytes + h[x].r_fin + h[x].r_abort)
#define END(x) (h[x].bytes + h[x].fin + h[x].abort)
#define FIN_DELIVERED(x) (h[x].r_fin && h[x].delivered > h[x].r_bytes)
#define ABORT_DELIVERED(x) (h[x].r_abort && h[x].delivered == RECEIVED(x))

#define ROOM_S (s_carrier && (!SERVER_SEEN || len(s2c) < Q))
#ifdef M_2_early /* stream frames before WELCOME is applied */
#define WRITING (phase == UP || (phase == WAIT && s_carrier == carrier))
#else
#ifdef M_1_writes /* the old carrier is still written while the new one waits */
#define WRITING (phase == UP || (phase == WAIT && s_carrier && s_carrier != carrier))
#else
#define WRITING (phase == UP)
#endif
#endif
#ifdef M_1_writes
#define REACHES_SERVER (s_carrier == carrier || phase == WAIT)
#else
#define REACHES_SERVER (s_carrier == carrier)
#endif
#define ROOM_C (WRITING && (!REACHES_SERVER || len(c2s) < Q))
#define ROOM(s) ((s == C && ROOM_C) || (s == S && ROOM_S))

/* Rule 11: nothing is freed without a carrier. */
#ifdef M_11_frees
#define MAY_FREE(s) (1)
#else
#define MAY_FREE(s) ((s == C && phase == UP) || (s == S && s_carrier))
#endif

/* Rule 13: only the last ack is missing. */
#if defined(M_13_never)
#define LAST_ACK_ONLY(x) (0)
#elif defined(M_13_half)
#define LAST_ACK_ONLY(x) (FIN_DELIVERED(x) && !h[x].abort)
#else
#define LAST_ACK_ONLY(x) (h[x].fin && FIN_DELIVERED(x) && !h[x].abort)
#endif

#ifdef CRASH
#ifdef M_14_foretold
#define SEEN_ABORT(x) (h[x].r_abort)
#else
#define SEEN_ABORT(x) (h[x].r_abort || h[x].foretold)
#endif
#else
#define SEEN_ABORT(x) (h[x].r_abort)
#endif
#ifdef X_9_send /* an option rather than a mutant: sending on after the peer's ABORT does no harm */
#define MAY_SEND(x) (1)
#else
#define MAY_SEND(x) (!SEEN_ABORT(x))
#endif

/* Rules 8 and 9: what we announce. */
#ifdef CREDIT
#ifdef M_9_limit
#define LIMIT(x) (h[x].delivered + INITIAL_LIMIT)
#else
#define LIMIT(x) (h[x].abort -> UNLIMITED : h[x].delivered + INITIAL_LIMIT)
#endif
#else
#define LIMIT(x) UNLIMITED
#endif
#ifdef M_8_limit /* tables forget what was announced */
#define TABLE_LIMIT(x) INITIAL_LIMIT
#else
#define TABLE_LIMIT(x) LIMIT(x)
#endif

/* The application knows how its connection ended: it has both FINs, or a reset. */
#define TOLD(x) (h[x].socket != ALIVE || (h[x].fin && FIN_DELIVERED(x)))

inline put(s, type, i, value) {
  if
  :: s == C -> if :: REACHES_SERVER -> c2s!(type) * 4 + (i), value :: else fi
  :: else -> if :: SERVER_SEEN -> s2c!(type) * 4 + (i), value :: else fi
  fi;
  skip
}

inline reset_socket(x, i) {
  if
  :: h[x].socket == ALIVE ->
    /* Not by cuts alone, nor by another stream's end; and an application's own reset arrives as
     * ABORT only, after all that it wrote. */
    assert(disturbed[i]);
    h[x].socket = RESET_BY_AGENT
  :: else
  fi;
  skip
}

inline forget(x, i) {
  assert(TOLD(x));
  h[x].held = 0; h[x].abort = 0; h[x].reset = 0;
  h[x].next = 0; h[x].sent = 0; h[x].acked = 0; h[x].limit = 0;
  h[x].r_bytes = 0; h[x].r_fin = 0; h[x].r_abort = 0; h[x].delivered = 0;
  h[x].ack_out = 0; h[x].limit_out = 0; h[x].open_sent = 0; h[x].open_ever = 0;
#ifdef CRASH
  h[x].foretold = 0;
#endif
  /* bytes, fin and socket stay for the peer's properties until both are done. */
  p = (x + N) % (2 * N);
  if
  :: !h[p].held && opened[i] ->
    h[x].bytes = 0; h[x].fin = 0; h[x].socket = 0;
    h[p].bytes = 0; h[p].fin = 0; h[p].socket = 0
  :: else
  fi;
  skip
}

/* Rules 6 and 13, and the ends of rule 12. */
inline end_unseen(x, i) {
#ifdef M_6_silent
  skip;
#else
  if :: LAST_ACK_ONLY(x) :: else -> reset_socket(x, i) fi;
#endif
  forget(x, i)
}

/* Rule 10 (a) and (b). */
inline settle(x, s, i) {
  if
  :: h[x].held && !h[x].reset && MAY_FREE(s) && (
#ifdef M_10a_unacked
       (h[x].fin && !h[x].abort && FIN_DELIVERED(x) && h[x].ack_out > h[x].r_bytes) ||
#elif defined(M_10a_ack)
       (h[x].fin && h[x].acked > h[x].bytes && !h[x].abort && FIN_DELIVERED(x)) ||
#else
       (h[x].fin && h[x].acked > h[x].bytes && !h[x].abort && FIN_DELIVERED(x) &&
        h[x].ack_out > h[x].r_bytes) ||
#endif
#ifdef M_10b_sent
       (h[x].abort && h[x].sent == END(x)) ||
#else
       (h[x].abort && h[x].acked == END(x)) ||
#endif
#ifdef M_10b_ack
       ABORT_DELIVERED(x)
#else
       (ABORT_DELIVERED(x) && h[x].ack_out == h[x].delivered)
#endif
     ) -> forget(x, i)
#ifndef M_10d
  /* 10 (d): the peer never saw the id. */
  :: s == C && h[x].held && MAY_FREE(s) && !h[x].open_sent && (h[x].reset || h[x].abort) ->
    forget(x, i)
#endif
  :: else
  fi;
  skip
}

inline settle_all(s) {
  j = 0;
  do :: j < N -> y = s * N + j; settle(y, s, j); j++ :: else -> break od;
  skip
}

#define ENTRY(x) \
  (h[x].held -> 1 + (RECEIVED(x) << 1) + (h[x].delivered << 4) + (TABLE_LIMIT(x) << 7) : 0)
#define E_RECEIVED ((e >> 1) & 7)
#define E_DELIVERED ((e >> 4) & 7)
#define E_LIMIT ((e >> 7) & 7)

/* Rule 12, listed. */
inline apply_entry(x) {
  if
#ifdef X_12_reset /* an option, too: the check holds even while a RESET waits */
  :: 1 ->
#else
  :: !h[x].reset ->
#endif
    assert(h[x].acked <= E_DELIVERED && E_DELIVERED <= E_RECEIVED && E_RECEIVED <= h[x].sent);
    assert(E_LIMIT >= h[x].limit);
#ifndef M_12_acked
    h[x].acked = E_DELIVERED;
#endif
#ifdef M_8_fin /* FIN is no offset of its own: once written, never replayed */
    h[x].next = (h[x].fin && h[x].sent > h[x].bytes && E_RECEIVED == h[x].bytes -> E_RECEIVED + 1
                                                                                  : E_RECEIVED);
#elif defined(M_12_next)
    skip;
#else
    h[x].next = E_RECEIVED;
#endif
    h[x].limit = E_LIMIT
  :: else
  fi;
  skip
}

/* Rule 12, absent and not above the peer's highest. */
inline apply_absence(x, i) {
#ifdef M_12_absent
  skip
#else
  if
  :: h[x].abort || ABORT_DELIVERED(x) -> forget(x, i)
  :: else -> end_unseen(x, i)
  fi
#endif
}

inline announced(x) {
  if
  :: h[x].held -> h[x].ack_out = h[x].delivered; h[x].limit_out = TABLE_LIMIT(x)
  :: else
  fi;
  skip
}

inline flush(q) {
  do :: len(q) > 0 -> q?t, v :: else -> break od;
  skip
}

inline clear_welcome() {
  welcome_instance = 0; welcome_highest = 0; j = 0;
  do :: j < N -> welcome_table[j] = 0; j++ :: else -> break od;
  skip
}

inline clear_hello(k) {
  hello[k] = 0; hello_instance[k] = 0; j = 0;
  do :: j < N -> hello_table[(k) * N + j] = 0; j++ :: else -> break od;
  skip
}

inline disturb_all() {
  j = 0;
  do :: j < N -> disturbed[j] = 1; j++ :: else -> break od;
  skip
}

#ifdef CRASH
/* The process dies and another recovers its records. The carrier is gone (the caller drops it). What
 * was received and not delivered was in memory only: the peer has it (an ack means delivered). What a
 * socket took or gave in the very system call that was under way, the kernel's counters tell: then
 * this is the same as dying a moment later, so only the mutants have it as a state of its own. */
inline recover(s) {
  j = 0;
  do
  :: j < N ->
    y = s * N + j;
    if
    :: h[y].held ->
#ifdef M_14_w /* the socket took one byte more than the record says, and nobody asks the kernel */
      if
      :: !h[y].reset && !h[y].abort && h[y].socket == ALIVE && h[y].delivered < h[y].r_bytes -> h[y].wrong = 1
      :: 1
      fi;
#endif
#ifdef M_14_r /* the socket gave one byte more than the record says, and nobody asks the kernel */
      if
      :: h[y].socket == ALIVE && !h[y].fin && !h[y].r_abort && h[y].bytes < B -> h[y].wrong = 1
      :: 1
      fi;
#endif
#ifdef M_14_received /* `received` stands, the bytes are lost */
      if :: h[y].delivered < h[y].r_bytes -> h[y].wrong = 1 :: else fi;
#else
      if
      :: h[y].r_abort && h[y].delivered == RECEIVED(y)
      :: else ->
        if :: h[y].r_abort -> h[y].r_abort = 0; h[y].foretold = 1 :: else fi;
#ifndef M_14_fin /* FIN stands, the bytes before it do not */
        if :: h[y].r_fin && h[y].delivered <= h[y].r_bytes -> h[y].r_fin = 0 :: else fi;
#endif
        if :: h[y].delivered < h[y].r_bytes -> h[y].r_bytes = h[y].delivered :: else fi
      fi;
#endif
#ifdef M_14_sent /* what was written on carriers is not remembered */
      h[y].sent = h[y].acked;
#endif
      skip
    :: else
    fi;
    j++
  :: else -> break
  od;
  skip
}
#endif

/* Rule 1, client: after this the old carrier is neither read nor written. */
inline client_drops() {
#ifdef M_1_reads /* what an UP carrier still brings is read while the next one waits */
  if :: phase != UP -> flush(s2c) :: else fi;
#else
  flush(s2c);
#endif
  phase = DOWN; server_left = 0; carrier = 0;
  clear_welcome()
}

/* Rule 4: who was never written moves to another link. */
inline move_unwritten() {
  y = 0;
  do
  :: y < N ->
    if
#ifdef M_4_second
    :: h[y].held ->
#else
    :: h[y].held && !h[y].open_ever ->
#endif
      assert(!opened[y]); /* else the other link opens it a second time */
      h[y].socket = MOVED;
      forget(y, y)
    :: else
    fi;
    y++
  :: else -> break
  od;
  skip
}

inline client_over(unknown) {
  client_drops();
  flush(s2c);
  clear_welcome();
  phase = OVER; instance = 0; y = 0;
  do
  :: y < N ->
    if
    :: !h[y].held
#ifdef M_4_moves
    :: h[y].held && unknown ->
#else
    :: h[y].held && unknown && !h[y].open_ever ->
#endif
      assert(!opened[y]); /* else the next link opens it a second time */
      h[y].socket = MOVED;
      forget(y, y)
    :: else -> end_unseen(y, y)
    fi;
    y++
  :: else -> break
  od;
  skip
}

inline server_drops() {
  if :: SERVER_SEEN -> server_left = 1 :: else fi;
  s_carrier = 0;
  flush(c2s);
  j = 0;
  do :: j < N -> refused[j] = 0; j++ :: else -> break od;
  skip
}

inline server_over() {
  server_drops();
  s_link = 0; s_instance = 0; s_attempt = 0; s_highest = 0; f = 0;
  do
  :: f < N ->
    if :: h[N + f].held -> y = N + f; end_unseen(y, f) :: else fi;
    f++
  :: else -> break
  od;
  skip
}

/* Frames of a stream; the table of frames in docs/PROTOCOL.md. */
inline receive(s, type, i, value) {
  y = s * N + i;
  if
  :: s == C -> assert(i < assigned)
  :: s == S && type != OPEN -> assert(i < s_highest)
  :: else
  fi;
  if
  :: type == OPEN ->
    assert(s == S && i >= s_highest); /* rule 7 */
    assert(!opened[i]);               /* never twice at a backend */
    opened[i] = 1;
    s_highest = i + 1;
    h[y].held = 1;
    h[y].limit = INITIAL_LIMIT;
    h[y].limit_out = INITIAL_LIMIT
  :: type != OPEN && !h[y].held ->
#ifdef M_frames_unheld
    assert(0)
#else
    skip
#endif
  :: type != OPEN && h[y].held && h[y].reset ->
    if :: type == RESET -> forget(y, i) :: else fi
  :: type != OPEN && h[y].held && !h[y].reset ->
    if
    :: type == DATA || type == FIN ->
      if
#ifndef M_9_discard
      :: h[y].abort /* rule 9: discarded unchecked */
#endif
      :: else ->
        assert((value & 7) == RECEIVED(y) && !h[y].r_fin && !h[y].r_abort);
        if
        :: type == DATA ->
          assert((value & 7) < h[y].limit_out);
          if :: !h[y].abort -> h[y].r_bytes++ :: else fi
        :: else -> if :: !h[y].abort -> h[y].r_fin = 1 :: else fi
        fi
      fi
    :: type == ABORT ->
      if
#ifdef M_9_both
      :: h[y].abort
#else
      :: h[y].abort -> h[y].reset = 1 /* rule 9: both reset; settled by RESET */
#endif
      :: else ->
        assert((value & 7) == RECEIVED(y) && !h[y].r_abort);
        h[y].r_abort = 1
      fi
    :: type == ACK ->
      /* Tighter than `<= sent`: the peer can have seen no more than this carrier was given. */
#ifdef ACK_BY_SENT
      assert(h[y].acked <= (value & 7) && (value & 7) <= h[y].sent);
#else
      assert(h[y].acked <= (value & 7) && (value & 7) <= h[y].next);
#endif
      assert((value >> 3) >= h[y].limit); /* rule 8: a limit never shrinks */
      h[y].acked = value & 7;
      h[y].limit = value >> 3
    :: type == RESET -> end_unseen(y, i)
    fi
  fi;
  if :: h[y].held -> settle(y, s, i) :: else fi;
  skip
}

/* One stream at one side: application, delivery, sending. */
proctype Side(byte s; byte i) {
  byte x = s * N + i;
  do
  /* The application. Client: a new connection takes the next id, with or without a carrier. */
  :: d_step {
      s == C && assigned == i && phase != OVER && !elsewhere ->
      h[x].held = 1; h[x].limit = INITIAL_LIMIT; h[x].limit_out = INITIAL_LIMIT;
      assigned = i + 1
    }
  /* Rule 9: after the peer's ABORT the application is no longer read. */
  :: d_step {
      h[x].held && h[x].socket == ALIVE && !h[x].fin && !SEEN_ABORT(x) && h[x].bytes < B ->
      h[x].bytes++
    }
  :: d_step {
      h[x].held && h[x].socket == ALIVE && !h[x].fin && !SEEN_ABORT(x) -> h[x].fin = 1;
      settle(x, s, i)
    }
#ifdef ABORTS
  :: d_step { /* rule 9, the application's reset */
      events > 0 && h[x].held && h[x].socket == ALIVE -> events--;
      if
#ifndef M_9_ignore
      :: h[x].fin && FIN_DELIVERED(x) /* nobody left to tell */
#endif
      :: else ->
        h[x].socket = RESET_BY_APP;
        if
#ifndef M_9_late
        :: SEEN_ABORT(x) -> h[x].reset = 1
#endif
#ifdef M_9_after_fin
        :: !SEEN_ABORT(x) && h[x].fin
#endif
        :: else -> h[x].abort = 1
        fi;
        settle(x, s, i)
      fi
    }
#endif
#ifdef KILLS
  :: d_step { /* rule 9, the agent's RESET: an operator, a limit, a failed backend */
      events > 0 && h[x].held && !h[x].reset -> events--;
      disturbed[i] = 1;
      if :: h[x].socket == ALIVE -> h[x].socket = RESET_BY_AGENT :: else fi;
#ifdef M_10c /* forgotten before RESET is written */
      forget(x, i);
#else
      h[x].reset = 1;
#endif
      settle(x, s, i)
    }
#endif
  /* Delivery lags behind receipt, and goes on without a carrier. */
  :: d_step {
      h[x].held && !h[x].reset && !h[x].abort && h[x].socket == ALIVE &&
#ifdef M_14_received
      !h[x].wrong && /* its bytes are nowhere */
#endif
      h[x].delivered < RECEIVED(x) ->
      p = (x + N) % (2 * N);
#ifdef M_14_w
      assert(!h[x].wrong); /* the application has had this one */
#endif
#ifdef M_14_r
      assert(!h[p].wrong); /* the application wrote a byte that is nowhere, and this is not it */
#endif
      if
      :: h[x].delivered < h[x].r_bytes -> assert(h[x].delivered < h[p].bytes)
      :: h[x].delivered == h[x].r_bytes && h[x].r_fin ->
        assert(h[p].fin && h[x].delivered == h[p].bytes) /* FIN only after all bytes */
      :: else ->
        assert(h[p].socket == RESET_BY_APP && h[x].delivered == h[p].bytes + h[p].fin);
        h[x].socket = RESET_BY_AGENT
      fi;
      h[x].delivered++;
      settle(x, s, i)
    }
  /* Rule 7: OPENs in id order, re-sent ones first. */
#ifdef M_7_order
  :: d_step {
      s == C && ROOM_C && h[x].held && !h[x].open_sent && !h[x].reset && !h[x].abort ->
#else
  :: d_step {
      s == C && ROOM_C && h[x].held && !h[x].open_sent && !h[x].reset && !h[x].abort &&
      (i == 0 || !h[0].held || h[0].open_sent) ->
#endif
      put(C, OPEN, i, 0);
      h[x].open_sent = 1; h[x].open_ever = 1
    }
  /* Rule 8: bytes, FIN, ABORT each at its offset. Rule 9: after the peer's ABORT no DATA, no FIN. */
  :: d_step {
      ROOM(s) && h[x].held && !h[x].reset && (s == S || h[x].open_sent) && MAY_SEND(x) &&
      h[x].next < END(x) && (h[x].next >= h[x].bytes || h[x].next < h[x].limit) ->
      f = (h[x].next < h[x].bytes -> DATA : (h[x].next == h[x].bytes && h[x].fin -> FIN : ABORT));
#ifdef CRASH
      assert(f != DATA || !h[x].foretold);
#endif
      put(s, f, i, h[x].next);
      h[x].next++;
      if :: h[x].sent < h[x].next -> h[x].sent = h[x].next :: else fi;
      settle(x, s, i)
    }
  :: d_step { /* an ack says delivered, and lags behind it */
      ROOM(s) && h[x].held && !h[x].reset && (s == S || h[x].open_sent) &&
      (h[x].delivered > h[x].ack_out || LIMIT(x) > h[x].limit_out) ->
      put(s, ACK, i, h[x].delivered + 8 * LIMIT(x));
      h[x].ack_out = h[x].delivered;
      h[x].limit_out = LIMIT(x);
      settle(x, s, i)
    }
#ifdef M_10d
  :: d_step { ROOM(s) && h[x].held && (h[x].reset || (h[x].abort && s == C && !h[x].open_sent)) ->
#else
  :: d_step { ROOM(s) && h[x].held && h[x].reset -> /* rule 10 (c) */
#endif
      put(s, RESET, i, 0);
      forget(x, i)
    }
#ifdef M_11_frees /* a waiting RESET counts as written although there is no carrier */
  :: d_step { s == C && phase != UP && h[x].held && h[x].reset -> forget(x, i) }
#endif
#ifdef LOSE
  :: d_step { /* kill -9, and this record cannot be read back: its stream ends, alone, with a cause */
      events > 0 && h[x].held && ((s == C && phase != OVER) || (s == S && s_link)) -> events--;
      if :: s == C -> client_drops() :: else -> server_drops() fi;
      recover(s);
      disturbed[i] = 1;
#ifndef M_14_lost
      if :: h[x].socket == ALIVE -> h[x].socket = RESET_BY_AGENT :: else fi;
#endif
      forget(x, i)
    }
#endif
#ifdef REFUSALS
  :: d_step { s == S && refused[i] && ROOM_S -> put(S, RESET, i, 0); refused[i] = 0 }
#endif
  od;
  skip
}

/* Rule 4: streams that were written and not reset hold the link to its server. */
#if N > 1
#define EITHER(a) (a(0) || a(1))
#else
#define EITHER(a) (a(0))
#endif
#define HOLDS(x) (h[x].held && h[x].open_ever && !h[x].reset)
#define WAITS(x) (h[x].held && !h[x].open_ever)
#define HELD(x) (h[x].held)
#define BOUND EITHER(HOLDS)
#define UNWRITTEN EITHER(WAITS)
#define NONE_HELD (!EITHER(HELD))

#define FRAME(q, type) (len(q) > 0 && q?[eval((type) * 4), _])

proctype Client() {
  byte x; /* kept 0; gives spin a name for loops below */
  do
  /* Rule 2. HELLO carries the instance of the first WELCOME applied, or 0. */
  :: d_step {
      phase == DOWN && attempt < ATTEMPTS ->
      attempt++;
      carrier = attempt; phase = WAIT; server_left = 0;
      hello[attempt] = 1; hello_instance[attempt] = instance; j = 0;
      do
      :: j < N -> hello_table[attempt * N + j] = ENTRY(j); announced(j); j++
      :: else -> break
      od;
      skip
    }
  :: d_step { cuts > 0 && ON_CARRIER -> cuts--; client_drops() }
  :: d_step { ON_CARRIER && server_left -> client_drops() }
  :: d_step { /* rule 2: WELCOME and its table */
      phase == WAIT && FRAME(s2c, WELCOME) ->
      s2c?t, v;
#if !defined(M_instance_flag) && !defined(M_instance_match)
      assert(instance == 0 || instance == welcome_instance);
#endif
      instance = welcome_instance;
#ifdef M_2_newest
      carrier = v;
#endif
      f = 0;
      do
      :: f < N ->
        e = welcome_table[f];
        if
        :: !h[f].held -> assert(e == 0) /* rule 12: an entry without a record */
        :: h[f].held && e -> apply_entry(f); h[f].open_sent = 1
        :: h[f].held && !e && f >= welcome_highest ->
#ifdef M_12_reopen
          end_unseen(f, f)
#else
          assert(h[f].acked == 0 && RECEIVED(f) == 0);
          h[f].open_sent = 0; h[f].limit = INITIAL_LIMIT; h[f].limit_out = INITIAL_LIMIT;
#ifndef M_12_offset0
          h[f].next = 0
#endif
#endif
        :: else -> apply_absence(f, f)
        fi;
        f++
      :: else -> break
      od;
      phase = UP;
      clear_welcome();
      settle_all(C)
    }
  :: d_step { /* rule 4 */
      phase == WAIT && FRAME(s2c, UNKNOWN) -> s2c?t, v;
      client_over(1)
    }
#ifdef OTHER
  :: d_step { /* rule 4: another server's UNKNOWN says nothing of what was written to our own */
      phase == WAIT && FRAME(s2c, OTHERS_UNKNOWN) -> s2c?t, v;
      if
#ifdef M_4_unbound
      :: !BOUND -> client_drops()
#else
      :: !BOUND -> client_over(1) /* nothing was: the link begins anew, there */
#endif
#ifdef M_other
      :: BOUND -> client_over(1)
#else
      :: BOUND ->
        client_drops();
#ifndef M_4_waits
        elsewhere = 1;
        move_unwritten()
#endif
#endif
      fi;
      skip
    }
  :: d_step { /* rule 4: empty, and what is new is elsewhere */
      elsewhere && NONE_HELD && phase == UP && ROOM_C ->
      put(C, BYE, 0, 0);
      client_over(0)
    }
  :: d_step { elsewhere && NONE_HELD && (phase == DOWN || phase == WAIT) -> client_over(0) }
#ifdef GONE
  /* Rule 5, which only streams that were written may need: whoever else comes, or waits, is served
   * before. */
  :: d_step {
      gone && (phase == DOWN || phase == WAIT) && !UNWRITTEN && (BOUND || attempt == ATTEMPTS) ->
      disturb_all();
      client_over(0)
    }
#endif
#endif
  :: d_step { /* rule 6 */
      phase == UP && FRAME(s2c, BYE) -> s2c?t, v;
      client_over(0)
    }
#ifdef M_1_reads
  :: d_step {
      ON_CARRIER && len(s2c) > 0 && !FRAME(s2c, WELCOME) && !FRAME(s2c, UNKNOWN) &&
#else
  :: d_step {
      phase == UP && len(s2c) > 0 &&
#endif
      !FRAME(s2c, BYE) -> s2c?t, v;
      f = t % 4; t = t / 4;
      receive(C, t, f, v)
    }
#ifdef CRASH
  :: d_step { /* kill -9, and back */
      events > 0 && phase != OVER -> events--;
      client_drops();
#ifdef M_14_instance
      instance = 0;
#endif
      recover(C)
    }
#endif
#ifdef GRACE
  :: d_step { /* rule 5 */
      events > 0 && (phase == DOWN || phase == WAIT) -> events--;
      disturb_all();
#ifdef M_5_late /* the streams end, but a WELCOME under way still counts */
      if
      :: phase == WAIT ->
        y = 0;
        do
        :: y < N -> if :: h[y].held -> end_unseen(y, y) :: else fi; y++
        :: else -> break
        od
      :: else -> client_over(1)
      fi;
      skip
#else
      client_over(1)
#endif
    }
#endif
#ifdef GOODBYE
  :: d_step { /* rule 6, with whatever has not been flushed */
      events > 0 && phase == UP && ROOM_C -> events--;
      disturb_all();
      put(C, BYE, 0, 0);
      client_over(0)
    }
#endif
  od;
  skip
}

/* The server reads the HELLO of carrier k. */
inline read_hello(k) {
#ifdef M_instance_flag /* "create if unknown", whatever the instance */
  if
  :: !s_link -> s_link = 1; s_instances++; s_instance = s_instances
  :: else
  fi;
#else
  if
  :: hello_instance[k] == 0 && !s_link -> s_link = 1; s_instances++; s_instance = s_instances
  :: else
  fi;
#endif
  if
#if !defined(M_instance_match) && !defined(M_instance_flag)
  :: hello_instance[k] != 0 && !(s_link && hello_instance[k] == s_instance) ->
#elif defined(M_instance_match)
  :: hello_instance[k] != 0 && !s_link ->
#else
  :: 0 ->
#endif
    if :: ON_CARRIER && carrier == k -> s2c!UNKNOWN * 4, 0 :: else fi
#ifndef M_3_stale
  :: k <= s_attempt -> /* rule 3: stale, closed without effect */
    if :: ON_CARRIER && carrier == k -> server_left = 1 :: else fi
#endif
  :: else ->
    s_attempt = k;
#ifdef M_3_order /* own table first, then the client's */
    f = 0;
    do
    :: f < N && ON_CARRIER && carrier == k -> welcome_table[f] = ENTRY(N + f); f++
    :: else -> break
    od;
#endif
#ifndef M_3_old /* else the old carrier is still read */
    server_drops();
#endif
    s_carrier = k; f = 0;
    do
    :: f < N ->
      e = hello_table[(k) * N + f]; y = N + f;
      if
#ifdef M_12_server
      :: !h[y].held -> assert(e == 0)
#else
      :: !h[y].held /* an entry without a record: the client will learn */
#endif
      :: h[y].held && e -> apply_entry(y)
      :: else -> apply_absence(y, f)
      fi;
      f++
    :: else -> break
    od;
    if
#ifdef M_2_newest
    :: ON_CARRIER ->
#else
    :: SERVER_SEEN ->
#endif
      s2c!WELCOME * 4, k;
      welcome_instance = s_instance; welcome_highest = s_highest;
#ifndef M_3_order
      f = 0;
      do :: f < N -> welcome_table[f] = ENTRY(N + f); f++ :: else -> break od
#endif
    :: else /* s2c may still hold an earlier WELCOME that the client will read */
    fi;
    f = 0;
    do :: f < N -> announced(N + f); f++ :: else -> break od;
    settle_all(S)
  fi;
  clear_hello(k)
}

proctype Carrier(byte k) {
  do
  /* A HELLO arrives at any time, even after its client has gone on to another attempt. */
  :: d_step { hello[k] && !gone && len(s2c) < Q -> read_hello(k) }
  :: d_step { /* or never */
      hello[k] && (!(ON_CARRIER && carrier == k) || cuts > 0) ->
      if
      :: ON_CARRIER && carrier == k -> cuts--; server_left = 1
      :: else
      fi;
      clear_hello(k)
    }
#ifdef OTHER
  :: d_step { /* or at another server, which knows nothing of this instance */
      hello[k] && (gone || (hello_instance[k] && cuts > 0)) && ON_CARRIER && carrier == k ->
      if :: gone :: else -> cuts-- fi;
      s2c!OTHERS_UNKNOWN * 4, 0;
      clear_hello(k)
    }
#endif
  od;
  skip
}

proctype Server() {
  do
  :: d_step { cuts > 0 && s_carrier -> cuts--; server_drops() }
  :: d_step { s_carrier && !SERVER_SEEN -> server_drops() } /* the client's end is gone: noticed */
  :: d_step { s_carrier && FRAME(c2s, BYE) -> c2s?t, v; server_over() } /* rule 6 */
#ifdef REFUSALS
  :: d_step { /* rule 7: `highest` rises, no record */
      events > 0 && s_carrier && len(c2s) > 0 && !FRAME(c2s, BYE) &&
      (c2s?[eval(OPEN * 4), _] || c2s?[eval(OPEN * 4 + 1), _]) -> c2s?t, v; events--;
      f = t % 4;
      assert(f >= s_highest);
#ifndef M_7_highest
      s_highest = f + 1;
#endif
      disturbed[f] = 1;
      refused[f] = 1
    }
#endif
  :: d_step {
      s_carrier && len(c2s) > 0 && !FRAME(c2s, BYE) -> c2s?t, v;
      f = t % 4; t = t / 4;
      receive(S, t, f, v)
    }
  /* Grace. Once the client is done for good, the server's timer is what is left. */
  :: d_step { s_link && !s_carrier && phase == OVER -> server_over() }
#ifdef GRACE
  :: d_step { /* rule 5 */
      events > 0 && s_link && !s_carrier && phase != OVER -> events--;
      disturb_all();
      server_over()
    }
#endif
#ifdef GOODBYE
  :: d_step { /* rule 6, from the server */
      events > 0 && s_link && ROOM_S -> events--;
      disturb_all();
      put(S, BYE, 0, 0);
      server_over()
    }
#endif
#ifdef CRASH
  :: d_step { /* kill -9, and back */
      events > 0 && s_link -> events--;
      server_drops();
#ifdef M_14_attempt
      s_attempt = 0;
#endif
#ifdef M_14_highest
      s_highest = 0;
#endif
#ifdef M_14_renewed
      s_instances++; s_instance = s_instances;
#endif
      recover(S)
    }
#endif
#ifdef RESTART
  :: d_step { /* the process dies: its sockets are reset, its records are gone, HELLOs still wait */
      events > 0 && s_link -> events--;
      disturb_all();
      server_over()
    }
#endif
#ifdef GONE
  :: d_step { events > 0 && !gone -> events--; gone = 1; disturb_all(); server_over() }
#endif
  od;
  skip
}

/* Nothing can move any more: everything must have ended. */
proctype Final() {
  byte i;
  timeout ->
  d_step {
    i = 0;
    do
    :: i < N -> assert(!h[i].held && !h[N + i].held); i++
    :: else -> break
    od;
    assert(phase == UP || phase == OVER);
    assert(phase == UP || !s_link)
  }
}

init {
  byte i;
  atomic {
    cuts = CUTS;
    do :: cuts > 0 -> cuts-- :: break od;
    events = EVENTS;
    do :: events > 0 -> events-- :: break od;
    i = 0;
    do :: i < N -> run Side(C, i); run Side(S, i); i++ :: else -> break od;
    i = 1;
    do :: i <= ATTEMPTS -> run Carrier(i); i++ :: else -> break od;
    i = 0;
    run Client();
    run Server();
    run Final()
  }
}
