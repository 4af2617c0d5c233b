//! The terminal as clients and a person see it.

use libipc::interfaces::{
    ConsentError, ConsoleError, ConsoleMode, StreamError, WindowSize,
    clients::{ClientArgument, SERVER_BADGES},
};
use proptest::{prelude::*, test_runner::FileFailurePersistence};
use std::{cell::Cell, rc::Rc};
use tessera_console::{
    clean::MARK,
    questions::Asker,
    seats::{Interrupt, Seats, number},
    terminal::Terminal,
};
use tessera_stream::testing::Call;

struct Signal(Rc<Cell<u32>>);

impl Interrupt for Signal {
    fn interrupt(&self) {
        self.0.set(self.0.get() + 1);
    }
}

type TestTerminal = Terminal<Call, Call, Signal>;

const SHELL: u64 = 3;

fn terminal() -> TestTerminal {
    let shell = ClientArgument::parse("client:3=shell").unwrap();
    Terminal::new(Seats::new(&[shell], [])).unwrap()
}

fn type_keys(terminal: &mut TestTerminal, keys: &str) {
    keys.bytes().for_each(|key| terminal.typed(key));
}

fn read(terminal: &mut TestTerminal, badge: u64) -> Call {
    let call = Call::read(100);
    terminal.read(badge, call.clone());
    call
}

fn write(terminal: &mut TestTerminal, badge: u64, text: &str) -> Call {
    let call = Call::write(text.as_bytes());
    terminal.write(badge, call.clone());
    call
}

/// What the device sends.
fn shown(terminal: &mut TestTerminal) -> String {
    let mut bytes = Vec::new();
    loop {
        bytes.extend(std::iter::from_fn(|| terminal.screen().out().pop()));
        terminal.drained();
        if terminal.screen().out().is_empty() {
            return String::from_utf8_lossy(&bytes).into_owned();
        }
    }
}

/// A job of the shell, put in front or not.
fn job(terminal: &mut TestTerminal, in_front: bool) -> u64 {
    let job = terminal.seats().open(SHELL, "job").unwrap();
    if in_front {
        terminal.put_in_front(SHELL, number(job).unwrap()).unwrap();
    }
    job
}

#[test]
fn a_read_gets_one_line_with_echo() {
    let mut terminal = terminal();
    let first = read(&mut terminal, SHELL);
    type_keys(&mut terminal, "ls");
    assert_eq!(first.answered(), None);
    type_keys(&mut terminal, " -l\rpwd\r");
    assert_eq!(first.text(), "ls -l\n");
    assert_eq!(read(&mut terminal, SHELL).text(), "pwd\n");
    assert_eq!(shown(&mut terminal), "ls -l\r\npwd\r\n");
}

#[test]
fn a_short_read_leaves_the_rest_of_the_line() {
    let mut terminal = terminal();
    type_keys(&mut terminal, "abc\r");
    let call = Call::read(2);
    terminal.read(SHELL, call.clone());
    assert_eq!(call.text(), "ab");
    assert_eq!(read(&mut terminal, SHELL).text(), "c\n");
}

#[test]
fn ctrl_d_is_the_end_once() {
    let mut terminal = terminal();
    type_keys(&mut terminal, "\x04text\x04");
    assert_eq!(read(&mut terminal, SHELL).answered(), Some(Ok(0)));
    assert_eq!(read(&mut terminal, SHELL).text(), "text");
    assert_eq!(read(&mut terminal, SHELL).answered(), None);
}

#[test]
fn ctrl_c_ends_waits_and_signals() {
    let mut terminal = terminal();
    let count = Rc::<Cell<u32>>::default();
    terminal.seats().seat(SHELL).on_interrupt = Some(Signal(Rc::clone(&count)));
    let job = job(&mut terminal, true);
    let (mine, shells) = (read(&mut terminal, job), read(&mut terminal, SHELL));
    type_keys(&mut terminal, "partial\x03");
    assert_eq!(mine.answered(), Some(Err(StreamError::Interrupted)));
    assert_eq!(shells.answered(), None);
    assert_eq!(count.get(), 1);
    assert_eq!(shown(&mut terminal), "partial^C\r\n");
}

#[test]
fn raw_input_comes_key_by_key_and_unseen() {
    let mut terminal = terminal();
    terminal.set_mode(SHELL, ConsoleMode::Raw);
    let keys = ["a", "\x03", "\x04", "\r", "\x1b"];
    for key in keys {
        let call = read(&mut terminal, SHELL);
        type_keys(&mut terminal, key);
        assert_eq!(call.text(), key);
    }
    assert_eq!(shown(&mut terminal), "");
}

#[test]
fn a_line_begun_before_raw_mode_is_not_lost() {
    let mut terminal = terminal();
    type_keys(&mut terminal, "begun");
    let call = read(&mut terminal, SHELL);
    terminal.set_mode(SHELL, ConsoleMode::Raw);
    assert_eq!(call.text(), "begun");
}

#[test]
fn input_goes_to_whoever_is_in_front() {
    let mut terminal = terminal();
    let shells = read(&mut terminal, SHELL);
    let job = job(&mut terminal, true);
    let jobs = read(&mut terminal, job);
    type_keys(&mut terminal, "for the job\r");
    assert_eq!(
        (jobs.text(), shells.answered()),
        ("for the job\n".into(), None)
    );
    type_keys(&mut terminal, "for the shell\r");
    terminal.closed(job);
    assert_eq!(shells.text(), "for the shell\n");
}

#[test]
fn modes_belong_to_seats() {
    let mut terminal = terminal();
    let editor = job(&mut terminal, true);
    terminal.set_mode(editor, ConsoleMode::Screen);
    // It dies without a word; the shell still reads lines.
    terminal.closed(editor);
    let call = read(&mut terminal, SHELL);
    type_keys(&mut terminal, "ok\r");
    assert_eq!(call.text(), "ok\n");
}

#[test]
fn others_are_marked_and_harmless() {
    let mut terminal = terminal();
    let job = job(&mut terminal, false);
    write(&mut terminal, SHELL, "\x1b[1m$ \x1b[0mls");
    shown(&mut terminal);
    write(&mut terminal, job, "\x1b[2J▶ sys");
    assert_eq!(shown(&mut terminal), "", "lines are shown whole");
    write(&mut terminal, job, "tem\n");
    let prompt = "\x1b[1m$ \x1b[0mls";
    assert_eq!(
        shown(&mut terminal),
        format!("\r\x1b[K▶ job: ? system\r\n{prompt}")
    );
    // The rest appears when it ends.
    write(&mut terminal, job, "rest");
    terminal.closed(job);
    assert_eq!(
        shown(&mut terminal),
        format!("\r\x1b[K▶ job: rest\r\n{prompt}")
    );
}

#[test]
fn the_log_appears_between_lines() {
    let mut terminal = terminal();
    assert_eq!(terminal.log(b"1.5 I kernel up\n1.6 W"), 21);
    assert_eq!(shown(&mut terminal), "▶ 1.5 I kernel up\r\n");
    terminal.set_mode(SHELL, ConsoleMode::Screen);
    assert!(!terminal.wants_log());
    assert_eq!(terminal.log(b" init\n"), 0);
    terminal.set_mode(SHELL, ConsoleMode::Cooked);
    assert_eq!(terminal.log(b" init\n"), 6);
    assert_eq!(shown(&mut terminal), "▶ 1.6 W init\r\n");
}

#[test]
fn a_full_device_makes_writers_wait_and_loses_nothing() {
    let mut terminal = terminal();
    let text: String = (0..3000).map(|index| format!("line {index}\n")).collect();
    let (mut rest, mut out) = (text.as_str(), String::new());
    while !rest.is_empty() {
        let call = write(&mut terminal, SHELL, rest);
        if call.answered().is_none() {
            out += &shown(&mut terminal);
        }
        let taken = call.answered().unwrap().unwrap() as usize;
        assert!(taken > 0);
        rest = &rest[taken..];
    }
    out += &shown(&mut terminal);
    assert_eq!(out, text.replace('\n', "\r\n"));
}

#[test]
fn waiting_calls_are_bounded_and_die_with_their_seat() {
    let mut terminal = terminal();
    let calls: Vec<Call> = (0..5).map(|_| read(&mut terminal, SHELL)).collect();
    assert_eq!(calls[4].answered(), Some(Err(StreamError::Busy)));
    calls[0].cancel();
    type_keys(&mut terminal, "next\r");
    assert_eq!(calls[0].answered(), None);
    assert_eq!(calls[1].text(), "next\n");
    let broken = read(&mut terminal, SHELL);
    assert_eq!(broken.answered(), None);
    terminal.closed(SHELL);
    type_keys(&mut terminal, "x\r");
    assert!(calls[2..4].iter().all(|call| call.answered().is_none()));
}

#[test]
fn bad_memory_loses_no_input() {
    let mut terminal = terminal();
    type_keys(&mut terminal, "kept\r");
    let bad = Call::read(9).broken();
    terminal.read(SHELL, bad.clone());
    assert_eq!(bad.answered(), Some(Err(StreamError::BadMemory)));
    assert_eq!(read(&mut terminal, SHELL).text(), "kept\n");
}

#[test]
fn the_attention_key_leads_to_a_prompt_that_is_the_consoles_own() {
    let mut terminal = terminal();
    let count = Rc::<Cell<u32>>::default();
    terminal.seats().seat(SHELL).on_interrupt = Some(Signal(Rc::clone(&count)));
    let job = job(&mut terminal, true);
    terminal.set_mode(job, ConsoleMode::Raw);
    let call = read(&mut terminal, job);
    type_keys(&mut terminal, "\x1d");
    let prompt = shown(&mut terminal);
    assert!(prompt.contains("▶ console: job is in front"), "{prompt}");
    // No client is heard while it is up.
    let waiting = write(&mut terminal, job, "▶ console: all is well");
    assert_eq!((call.answered(), waiting.answered()), (None, None));
    assert_eq!(shown(&mut terminal), "");
    type_keys(&mut terminal, "s");
    assert!(shown(&mut terminal).contains("▶ job: seat 1\r\n"));
    type_keys(&mut terminal, "c");
    assert_eq!(call.answered(), Some(Err(StreamError::Interrupted)));
    assert_eq!(count.get(), 1);
    assert!(shown(&mut terminal).ends_with("? console: all is well"));
    type_keys(&mut terminal, "\x1db");
    assert_eq!(terminal.seats().front(), SHELL);
}

#[test]
fn the_size_is_for_the_front_to_set() {
    let mut terminal = terminal();
    let job = job(&mut terminal, false);
    let wide = WindowSize {
        columns: 132,
        rows: 50,
    };
    assert_eq!(terminal.set_size(job, wide), Err(ConsoleError::NotInFront));
    assert_eq!(terminal.set_size(SHELL, wide), Ok(()));
    assert_eq!(terminal.size(), wide);
    let none = WindowSize { rows: 0, ..wide };
    assert_eq!(terminal.set_size(SHELL, none), Err(ConsoleError::BadSize));
}

#[derive(Clone, Debug)]
enum Step {
    Type(u8),
    Read(u64),
    Write(u64, Vec<u8>),
    Open(u64),
    Front(u64, u64),
    Mode(u64, u8),
    Close(u64),
    Show,
}

fn step() -> impl Strategy<Value = Step> {
    let badge = || prop_oneof![Just(SHELL), Just(9), SERVER_BADGES..SERVER_BADGES + 5];
    let byte = prop_oneof![any::<u8>(), Just(0x1d), Just(b'\r'), Just(b's')];
    prop_oneof![
        byte.prop_map(Step::Type),
        badge().prop_map(Step::Read),
        (badge(), proptest::collection::vec(any::<u8>(), 0..700))
            .prop_map(|(badge, bytes)| Step::Write(badge, bytes)),
        badge().prop_map(Step::Open),
        (badge(), 0_u64..5).prop_map(|(badge, seat)| Step::Front(badge, seat)),
        (badge(), 0_u8..3).prop_map(|(badge, mode)| Step::Mode(badge, mode)),
        badge().prop_map(Step::Close),
        Just(Step::Show),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::Off)),
        ..ProptestConfig::default()
    })]

    /// Whatever clients do, nothing panics, nobody is answered twice (the calls
    /// check that), and a mark always begins a line of the console's.
    #[test]
    fn hostile_clients_draw_no_mark(steps in proptest::collection::vec(step(), 0..80)) {
        let mut terminal = terminal();
        let mut all = String::new();
        for step in steps {
            match step {
                Step::Type(byte) => terminal.typed(byte),
                Step::Read(badge) => drop(read(&mut terminal, badge)),
                Step::Write(badge, mut bytes) => {
                    bytes.extend(MARK.encode_utf8(&mut [0; 4]).bytes());
                    terminal.write(badge, Call::write(&bytes));
                }
                Step::Open(badge) => drop(terminal.seats().open(badge, "job")),
                Step::Front(badge, seat) => drop(terminal.put_in_front(badge, seat)),
                Step::Mode(badge, mode) => {
                    let modes = [ConsoleMode::Cooked, ConsoleMode::Raw, ConsoleMode::Screen];
                    terminal.set_mode(badge, modes[usize::from(mode)]);
                }
                Step::Close(badge) => terminal.closed(badge),
                Step::Show => all += &shown(&mut terminal),
            }
        }
        all += &shown(&mut terminal);
        for (index, _) in all.match_indices(MARK) {
            let after = &all[index + MARK.len_utf8()..];
            let name = ["job: ", "shell: ", "client 9: ", "program ", "console: "];
            let own = name.iter().any(|name| after.strip_prefix(' ').is_some_and(|a| a.starts_with(name)));
            prop_assert!(own, "{:?}", &all[index..]);
        }
    }
}

/// Somebody who asks, and what he is told.
#[derive(Clone, Debug, Default)]
struct Asks {
    answer: Rc<Cell<Option<Result<bool, ConsentError>>>>,
    is_gone: Rc<Cell<bool>>,
}

impl Asker for Asks {
    fn is_cancelled(&self) -> bool {
        self.is_gone.get()
    }

    fn answer(self: Box<Self>, answer: Result<bool, ConsentError>) {
        self.answer.set(Some(answer));
    }
}

#[test]
fn only_the_owner_answers_a_question() {
    let mut terminal = terminal();
    let asks = |terminal: &mut TestTerminal, text: &str| {
        let asks = Asks::default();
        terminal.ask(SHELL, text, Box::new(asks.clone()));
        asks
    };
    let empty = asks(&mut terminal, "\x1b[2J\n");
    assert_eq!(empty.answer.get(), Some(Err(ConsentError::Empty)));
    let first = asks(&mut terminal, "may \x1b[31mkitchen see?\nconsole: no");
    let gone = asks(&mut terminal, "may nobody?");
    let second = asks(&mut terminal, "may garage see?");
    assert!(
        shown(&mut terminal).starts_with("▶ shell asks: may kitchen see? Ctrl-] to answer\r\n")
    );
    // Whatever is typed to programs is no answer.
    type_keys(&mut terminal, "y\ry");
    assert_eq!(first.answer.get(), None);
    type_keys(&mut terminal, "\x1d");
    assert!(
        shown(&mut terminal)
            .ends_with("▶ shell asks: may kitchen see? y: yes, any other key: no > ")
    );
    // Who asks while a question is up is not answered with it.
    first.is_gone.set(true);
    let third = asks(&mut terminal, "may cellar see?");
    type_keys(&mut terminal, "y");
    assert_eq!(first.answer.get(), Some(Ok(true)));
    // The line that was being typed is there again, without the answer.
    let again = shown(&mut terminal);
    assert!(again.ends_with("yes\r\ny"), "{again:?}");
    gone.is_gone.set(true);
    type_keys(&mut terminal, "\x1dn\x1d\r");
    assert_eq!(
        (gone.answer.get(), second.answer.get()),
        (None, Some(Ok(false)))
    );
    assert_eq!(third.answer.get(), Some(Ok(false)));
    type_keys(&mut terminal, "\x1d");
    assert!(shown(&mut terminal).contains("console: shell is in front"));
}

#[test]
fn questions_are_bounded() {
    let mut terminal = terminal();
    let asks: Vec<_> = (0..9).map(|_| Asks::default()).collect();
    for one in &asks {
        terminal.ask(SHELL, "may I?", Box::new(one.clone()));
    }
    assert_eq!(asks[8].answer.get(), Some(Err(ConsentError::Busy)));
    assert!(asks[..8].iter().all(|one| one.answer.get().is_none()));
}

#[test]
fn what_is_said_is_a_marked_line() {
    let mut terminal = terminal();
    let job = job(&mut terminal, true);
    assert!(terminal.say(SHELL, "hello\x1b[2J there\n▶ console: fake"));
    assert_eq!(shown(&mut terminal), "▶ shell: hello there\r\n");
    let _ = job;
}
