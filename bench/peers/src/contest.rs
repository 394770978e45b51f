use std::{
    alloc::{GlobalAlloc, Layout, System},
    hint::black_box,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// How long one entry works before it is the next one's turn: shorter than what a scheduler lets another program run.
const TURN: Duration = Duration::from_micros(250);
/// How many turns each entry has.
const TURNS: usize = 1000;

/// Several ways to do the same work, measured in turns, so that what slows the machine down slows all of them.
pub struct Contest<'a> {
    title: String,
    /// Bytes of input that one call works on.
    bytes: usize,
    entries: Vec<Entry<'a>>,
}

struct Entry<'a> {
    name: String,
    work: Box<dyn FnMut(u64) -> Duration + 'a>,
    allocations: f64,
    turns: Vec<f64>,
}

impl<'a> Contest<'a> {
    /// A contest over `bytes` of input a call.
    pub fn new(title: impl Into<String>, bytes: usize) -> Self {
        Self { title: title.into(), bytes, entries: Vec::new() }
    }

    /// Takes part with `work`, whose result is of no interest but has to be worked out. The first entry is what the
    /// others are divided by.
    pub fn entry<R>(self, name: impl Into<String>, mut work: impl FnMut() -> R + 'a) -> Self {
        self.push(name.into(), move |times| {
            let start = Instant::now();
            for _ in 0..times {
                black_box(work());
            }
            start.elapsed()
        })
    }

    /// Takes part with `work` on something that is made anew each time, which does not count. For work of a
    /// microsecond and more: the clock is read each time too.
    pub fn entry_on<S, R>(
        self,
        name: impl Into<String>,
        mut make: impl FnMut() -> S + 'a,
        mut work: impl FnMut(S) -> R + 'a,
    ) -> Self {
        self.push(name.into(), move |times| {
            let mut took = Duration::ZERO;
            for _ in 0..times {
                let input = black_box(make());
                let start = Instant::now();
                black_box(work(input));
                took += start.elapsed();
            }
            took
        })
    }

    fn push(mut self, name: String, work: impl FnMut(u64) -> Duration + 'a) -> Self {
        self.entries.push(Entry { name, work: Box::new(work), allocations: 0.0, turns: Vec::new() });
        self
    }

    /// Measures all entries and prints a table. The figure is the first decile of the turns: what else runs on the
    /// machine can only make a turn longer. The median stands beside it.
    pub fn run(mut self) {
        let mut times = Vec::new();
        for entry in &mut self.entries {
            (entry.work)(100);
            let before = ALLOCATIONS.load(Ordering::Relaxed);
            (entry.work)(100);
            let after = ALLOCATIONS.load(Ordering::Relaxed);
            entry.allocations = (after - before) as f64 / 100.0;
            times.push(times_per_turn(&mut entry.work));
        }
        for _ in 0..TURNS {
            for (entry, &times) in self.entries.iter_mut().zip(&times) {
                entry.turns.push((entry.work)(times).as_nanos() as f64 / times as f64);
            }
        }
        self.print();
    }

    fn print(&mut self) {
        println!("\n### {} ({} bytes)\n", self.title, self.bytes);
        println!("| | ns | median | ratio | GB/s | allocations |");
        println!("|---|--:|--:|--:|--:|--:|");
        let mut base = None;
        for entry in &mut self.entries {
            entry.turns.sort_by(f64::total_cmp);
            let at = |tenths: usize| entry.turns[(entry.turns.len() - 1) * tenths / 10];
            let (figure, median) = (at(1), at(5));
            let base = *base.get_or_insert(figure);
            println!(
                "| {} | {figure:.1} | {median:.1} | {:.2} | {:.2} | {:.1} |",
                entry.name,
                figure / base,
                self.bytes as f64 / figure,
                entry.allocations,
            );
        }
    }
}

fn times_per_turn(work: &mut dyn FnMut(u64) -> Duration) -> u64 {
    let mut times = 1;
    loop {
        let took = work(times);
        if took >= TURN / 4 {
            return ((times as f64 * TURN.as_secs_f64() / took.as_secs_f64()) as u64).max(1);
        }
        times *= 2;
    }
}

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

/// The system's allocator; counts how often it is asked for memory. For `#[global_allocator]`.
pub struct CountingAllocator;

// SAFETY: every call goes to `System` unchanged; the counter touches no memory but its own.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps what `GlobalAlloc` asks of it, and `System` asks the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: as above; `ptr` came from `System`.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as above; `ptr` came from `System`.
        unsafe { System.realloc(ptr, layout, new_size) }
    }
}
