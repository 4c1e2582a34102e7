"""The words that generated sessions are made of: what breaks, how it is said, what mends it."""

from typing import Final


def _listed(text: str, separator: str | None = None) -> list[str]:
    return [" ".join(item.split()) for item in text.split(separator)]


COMPONENTS: Final = _listed(
    """
import scheduler; invoice renderer; session cache; payout ledger; search indexer; webhook relay;
image resizer; audit trail; rate limiter; feature flag service; login form; report exporter;
address validator; tax calculator; voucher engine; shipment tracker; chat gateway; mail digest;
price feed; stock counter; thumbnail worker; backup rotation; metric collector; license checker;
map tile server; subtitle converter; seat planner; exam grader; recipe parser; parcel sorter;
loan simulator; fleet monitor; timesheet merger; translation loader; consent banner; avatar
uploader; calendar bridge; coupon page; wallet adapter; queue balancer; snapshot tool; schema
migrator; token refresher; crash reporter; usage meter; playlist builder; quiz editor; telemetry
buffer; ticket router; barcode scanner
""",
    ";",
)

SYMPTOMS: Final = _listed(
    """
drops the last row of each page; hangs after the second retry; writes every record twice;
answers with an empty body; forgets the user's time zone; eats all memory overnight; starts
before its database is up; sorts umlauts behind z; rounds half a cent the wrong way; keeps a
lock after a crash; never leaves the loading state; sends the same mail three times; loses
updates that come in pairs; shows yesterday's totals until noon; rejects names with an
apostrophe; ignores the dark theme; blocks the event loop for seconds; leaves temporary files
behind; counts deleted rows; opens a connection per row; fails on files above two gigabytes;
skips the first of each month; breaks links with a plus sign; reads the config of another
tenant; prints secrets in its log; deadlocks under two writers; turns null into zero; follows a
redirect forever; truncates at 255 characters; caches errors for an hour
""",
    ";",
)

OCCASIONS: Final = _listed(
    """
since the upgrade last Tuesday; only on the staging cluster; when the network is slow; after
midnight in UTC; if two people save at once; on Windows with long paths; with an empty cart; on
the first run of a new machine; for customers in Switzerland; whenever the disk is nearly full;
under load from the nightly job; behind the new proxy; with more than 500 items; after a failed
deploy; in private windows; during leap days; when the token expires midway; with the old mobile
app
""",
    ";",
)

ERRORS: Final = (
    'TimeoutError: {noun}-{zone}-{small} did not answer within {small} s',
    "KeyError: '{noun}_{thing}'",
    'psycopg.errors.UniqueViolation: duplicate key value violates unique '
    'constraint "{noun}_{thing}_key"',
    "error TS2345: Argument of type '{Class}' is not assignable to "
    "parameter of type '{Other}'",
    "thread 'main' panicked at {path}:{line}: index out of bounds: the len "
    "is {small} but the index is {line}",
    "ModuleNotFoundError: No module named '{noun}_{thing}'",
    "OSError: [Errno 28] No space left on device: '/var/lib/{noun}/{thing}.tmp'",
    'AssertionError: expected {line} {thing}s, got {small}',
    "error[E0502]: cannot borrow `self.{noun}_{thing}` as mutable because "
    "it is also borrowed as immutable",
    "panic: runtime error: invalid memory address or nil pointer "
    "dereference in {Class}.{verb}",
    'sqlite3.OperationalError: no such column: {noun}.{thing}_id',
    'ConnectionRefusedError: [Errno 111] connect to 10.{small}.{line}.7:{port} refused',
    "TypeError: {name}() got an unexpected keyword argument '{thing}_limit'",
    "fatal: unable to access "
    "'https://git.example.com/{noun}/{thing}.git/': Could not resolve host",
    "Cannot read properties of undefined (reading '{name}')",
    'java.lang.IllegalStateException: {Class} was closed while {verb}ing {thing} {line}',
    'x509: certificate for {noun}.{zone}.example.com has expired {small} days ago',
    'ValueError: {thing} must be below {line}, not {port}',
    "PermissionError: [Errno 13] Permission denied: '/etc/{noun}/{thing}.conf'",
    'OutOfMemoryKilled: container {noun}-{thing} used {port} MiB',
)  # fmt: skip

# What was wrong, and what mends it.
CAUSES: Final = _listed(
    """
The cursor was advanced before the page had been committed; Two workers shared one connection
without a lock; The retry counter was reset inside of the loop; A default argument was a list
that all calls shared; The clock was read in local time and compared in UTC; The cache key left
out the tenant; An exception in the callback was swallowed by the framework; The regular
expression backtracks on long lines; The migration ran after the first reader had started;
Floating point was used for money; The file handle was inherited by the child process; The index
did not cover the column that is sorted by; A stale module was still on the import path; The
semaphore was released twice on cancellation; The response was parsed before all of its chunks
had come; The feature flag was read once at start and never again; The null byte ended the
string in the C library; The queue was bounded but nobody waited for room
""",
    ";",
)

REMEDIES: Final = _listed(
    """
I commit first and advance afterwards; each worker opens a connection of its own; the counter
now lives outside of the loop; the default is None, and a fresh list is made; both instants are
aware and in UTC; the tenant is part of the key; the callback reports its exception and stops;
the pattern is anchored and has no nested star; readers wait until the migration has ended;
amounts are whole cents; the descriptor is closed on exec; a covering index replaces the old
one; the stale directory is gone from the path; release happens in one place only; the parser
waits for the final chunk; the flag is looked up for each request; lengths are passed beside the
pointer; writers wait for room with a deadline
""",
    ";",
)

ZONES: Final = _listed("eu west lab north apac canary")

VERBS: Final = _listed("""
merge split rebalance flush rotate reconcile hydrate debounce validate enqueue collapse resolve
backfill throttle canonicalise attach detach prune sample stitch unwrap decode encode promote
demote snapshot restore annotate escalate dispatch
""")

NOUNS: Final = _listed("""
tenant voucher invoice parcel ledger avatar playlist recipe barcode seat exam wallet tile
subtitle coupon shipment meter beacon cohort roster quota banner locale widget packet shard
replica vendor mandate pledge refund dispute tariff pallet depot route convoy glyph stencil
palette fixture rubric syllabus lesson tutor canvas brush layer vertex mesh shader probe sensor
relay valve pump
""")

THINGS: Final = _listed("""
cursor batch window header digest marker bucket slot offset region range epoch lease token scope
alias badge group frame chunk column field record entry block queue index handle mask delta
ratio limit stamp label group code level state mode
""")

AREAS: Final = _listed("api billing core edge jobs lib net store sync ui web worker")

SUFFIXES: Final = _listed("py py ts rs go java sql")


# Whole stories in other languages, with the component's place and the error's.
FOREIGN: Final = (
    ("Der Prüflauf für {noun} schlägt fehl, sobald Straße oder Größe Umlaute enthält. Warum?",
     "Die Normalisierung zerlegte »ü« in zwei Zeichen; jetzt vergleicht {name} in NFC."),
    ("La tâche {thing} échoue dès que le prénom contient un accent, peux-tu vérifier ?",
     "L'encodage était forcé à latin-1 ; {name} lit désormais de l'UTF-8."),
    ("El año fiscal de {noun} empieza mal: la migración añade un día de más.",
     "El cálculo usaba días locales; {name} usa ahora medianoche UTC."),
    ("{noun} の在庫数が夜間バッチの後にずれます。原因を調べて修正してください。",
     "排他制御が抜けていたため二重に減算されていました。{name} で行ロックを取得します。"),
    ("{thing} 导出的报表缺少最后一列，请检查并修复编码问题。",
     "写入缓冲区没有刷新，{name} 现在在关闭前刷新。"),
    ("{noun} 결제 취소 후에도 포인트가 환불되지 않습니다. 확인해 주세요.",
     "트랜잭션 순서가 잘못되어 있었고, {name} 에서 순서를 바로잡았습니다."),
    ("Při ukládání {noun} se ztrácí háčky a čárky, příliš žluťoučký kůň.",
     "Sloupec měl špatné řazení; {name} teď používá unicode."),
)  # fmt: skip
