// Made by `make api-types` of the OpenAPI document, which says what fields mean.

export type Account = {
  session_id: string; events: number; reconstructed: number; messages: number; calls: ToolCall[];
  failed_hooks: number; lost: LostEvent[]; after_end: number; endings: Record<string, number>;
  incomplete: ToolCall[]; cost: SessionCost | null;
};

export type AdditionFields = {
  id: string; created_at: string;
};

export type Agent = {
  agent_id: string | null; agent_type: string | null; parent_agent_id: string | null;
  parent_is_recorded: boolean; depth: number; models: string[]; own: AgentWork; total: AgentWork;
};

export type AgentWork = {
  messages: number; input: number; cache_read: number; cache_write: number; output: number;
  cost: number | null; unpriced: number; tool_calls: number; failures: number;
  started_at: string | null; ended_at: string | null; tokens: number;
  duration_seconds: number | null;
};

export type Argument = {
  name: string; value: Excerpt;
};

export type AssignmentAnswer = {
  session_id: string; experiment: string; variant: string; method: 'random' | 'named';
  is_late: boolean;
};

export type BackupItem = {
  id: string; created_at: string; kind: 'full' | 'incremental'; parent: string | null; rows: number;
  content_bytes: number; stored_bytes: number; stored_as: string;
  files: Record<string, Record<string, number>>;
};

export type BackupList = {
  backups: BackupItem[]; damaged: Record<string, string>; unfinished: string[]; ahead: string[];
};

export type BatchItem = {
  id: string | null; result: 'new' | 'same' | 'changed' | 'refused' | 'spooled'; reason?: string;
};

export type BatchResults = {
  results: BatchItem[]; counts: Record<'new' | 'same' | 'changed' | 'refused' | 'spooled', number>;
};

export type Bin = {
  low: number; high: number; plans: number; confidence: number | null; success: number | null;
  success_low: number | null; success_high: number | null;
};

export type Brier = {
  score: number; reliability: number; resolution: number; uncertainty: number;
  within_variance: number; within_covariance: number; skill: number | null;
};

export type BrownForsytheAnova = {
  f: number; df_between: number; df_within: number; p: number;
};

export type BudgetState = {
  scope: 'day' | 'session' | 'project'; subject: string | null; unit: 'usd' | 'tokens';
  limit: number; spent: number; share: number; unpriced: number; is_reached: boolean;
  warns: boolean;
};

export type Calibration = {
  plans: number; judged: number; bins: Bin[]; brier: Brier | null; cost_by_complexity: CostError[];
  cost_by_pattern: CostError[];
};

export type Comparison = {
  by: string; groups: Record<string, number>; sessions: number; ungrouped: number; unwanted: number;
  pairs: number | null; span: Span; experiment: ExperimentAssignments | null;
  metrics: MetricComparison[];
};

export type ComparisonNames = {
  by: string[]; metrics: string[]; patterns: string[]; experiments: string[];
};

export type CostError = {
  group: string | null; plans: number; planned: number; actual: number; error: number;
  absolute_error: number; ratio: number | null;
};

export type Database = {
  file: string; bytes: number; rows: number | null; last: string | null; problem: string;
  wal_bytes: number; is_damaged: boolean;
};

export type DayCost = {
  day: string; cost: number | null; tokens: number; unpriced: number;
};

export type DayTotals = {
  day: string; events: number; failures: number; sessions: number; tokens: number;
  cost: number | null; unpriced: number;
};

export type Description = {
  n: number; mean: number | null; sd: number | null; median: number | null; q1: number | null;
  q3: number | null; minimum: number | null; maximum: number | null; outliers: number;
};

export type Disagreement = {
  kind: string; purpose: string; id: string;
};

export type DoctorReport = {
  versions: Record<string, string>; khive: string; databases: Database[]; spool: SpoolState;
  quarantined: string[]; unmatched: Unmatched[]; unmatched_calls: number; problems: string[];
  pause: PauseStatus; hooks: HookState[]; findings: Finding[]; free_bytes: number | null;
  latest_backup: string | null; last_verify: LastVerify | null; search_index: IndexState | null;
};

export type Effect = {
  d: number; d_interval: Interval; g: number; g_interval: Interval;
};

export type Entry = {
  at: string; kind: 'plan' | 'prompt' | 'message' | 'thinking' | 'tool' | 'focus' | 'event' | 'gap';
  title: string; lines: string[]; depth: number; agent_id: string | null; is_failed: boolean;
  duration_ms: number | null; tokens: number; cost: number | null; unpriced: number; id: string;
  model: string | null; files: string[]; records: string[];
};

export type EntryDetails = {
  id: string; arguments: Argument[]; diff: Excerpt | null; output: Excerpt | null;
  usage: Usage | null;
};

export type Error = {
  error: Problem;
};

export type EventCount = {
  tool: string; event_type: string | null; events: number; failures: number; sessions: number;
};

export type Excerpt = {
  text: string; characters: number;
};

export type ExpensiveSession = {
  session_id: string; title: string | null; tool: string | null; project: string | null;
  cost: number; unpriced: number; failures: number; duration_seconds: number | null;
};

export type ExperimentAssignments = {
  name: string; weights: Record<string, number>; late_named: number; late_random: number;
  with_late: boolean; named: number; drawn: Record<string, number>; seen: number; assigned: number;
  remarks: string[];
};

export type ExperimentContent = {
  name: string; variants: Variant[]; note?: string; metadata?: Record<string, unknown>;
};

export type ExperimentCount = {
  name: string; created_at: string | null; note: string | null; variants: VariantCount[];
};

export type ExperimentFields = {
  name: string; created_at: string;
};

export type FacetValue = {
  value: string; rows: number | null;
};

export type Facets = {
  facets: Record<string, FacetValue[]>;
};

export type FailedCall = {
  at: string; tool: string; tool_name: string | null; session_id: string | null;
  project: string | null; command: string | null; error: string | null;
};

export type FailingTool = {
  tool: string; tool_name: string | null; count: number; before: number; example: string | null;
};

export type FileHistory = {
  path: string; names: string[]; matched: number; sessions: number; shown: number;
  touches: FileTouch[];
};

export type FileTouch = {
  at: string; change: 'edit' | 'command' | 'read'; path: string; session_id: string; title: string;
  client: string; agent_id: string; model: string | null; tool_name: string; call: string;
  lines: string[]; failed: boolean; reasons: Reason[]; record_id: string; purpose: string;
  is_latest: boolean;
};

export type Finding = {
  level: 'problem' | 'paused' | 'advice'; text: string; command: string | null;
};

export type Fix = {
  likeness: number; rank: number; session_id: string; title: string; client: string;
  agent_id: string; tool_name: string; failed_at: string; failed_call: string; error: string;
  record_id: string; purpose: string; mended_at: string; mended_call: string;
  mended_record_id: string; steps: FixStep[]; omitted: number; attempts: number; recurred: number;
  recurred_at: string | null; recurred_record_id: string;
};

export type FixResult = {
  error: string[]; matched: number; sessions: number; mended: number; shown: number;
  is_whole: boolean; fixes: Fix[];
};

export type FixStep = {
  at: string; kind: 'edit' | 'command' | 'call' | 'message' | 'prompt'; title: string;
  lines: string[]; failed: boolean; record_id: string;
};

export type Focus = {
  session_id: string; agents: TodoList[];
};

export type FoundEntries = {
  session_id: string; entries: string[];
};

export type Group = {
  name: string; description: Description; left_out: Record<string, number>;
  normality: Normality | null;
};

export type GroupTotals = {
  group: string | null; sessions: number; tokens: number; cost: number | null; unpriced: number;
  cost_before: number | null; unpriced_before: number;
};

export type HookState = {
  tool: string; scope: 'project' | 'local' | 'user';
  state: 'not installed' | 'partly installed' | 'stale' | 'installed';
  transport: '' | 'command' | 'http'; path: string; hook: '' | 'native' | 'python';
};

export type IndexState = {
  exists: boolean; records: number; passages: number; bytes: number; behind: number | null;
  problem: string; vectors: VectorsState | null;
};

export type Interval = {
  low: number; high: number; level: number;
};

export type KindCount = {
  purpose: string; records: number; sessions: number; first: string | null; last: string | null;
};

export type LastSaved = {
  at: string; kind: string; id: string;
};

export type LastVerify = {
  at: string; is_equal: boolean; records: number;
};

export type Lineage = {
  session_id: string; tool: string | null; starts: Start[]; agents: Agent[]; links: Links;
};

export type Link = {
  session_id: string; is_recorded: boolean; messages: number | null; at: string | null;
};

export type Links = {
  forked_from: Link | null; forks: Link[]; started_by: Link | null; started: Link[];
};

export type LoginLink = {
  path: string; seconds: number;
};

export type LostEvent = {
  event: string; subject: string; created_at: string; reason: string;
};

export type MannWhitney = {
  u: number; p: number; superiority: number; is_exact: boolean;
};

export type Mark = {
  start: number; end: number;
};

export type MedianDifference = {
  difference: number; interval: Interval | null;
};

export type Metric = {
  name: string; definition: string; unit: string; kind: 'number' | 'share';
};

export type MetricComparison = {
  metric: Metric; groups: Group[]; tested: number[]; refusal: string; welch: Welch | null;
  mann_whitney: MannWhitney | null; effect: Effect | null;
  median_difference: MedianDifference | null; shares: ProportionDifference | null;
  welch_anova: WelchAnova | null; brown_forsythe_anova: BrownForsytheAnova | null;
  pairs: Pair[] | null; paired_t: PairedT | null; sign: Sign | null; wilcoxon: Wilcoxon | null;
  spread: Spread | null; smallest_effect: number | null; needed: number | null; p: number | null;
  p_holm: number | null; p_bh: number | null;
  finding: 'difference' | 'perhaps chance' | 'unclear' | 'none found' | 'not tested';
  sentence: string;
};

export type Normality = {
  w: number; p: number;
};

export type OutcomeCount = {
  outcome: string; now: number; before: number;
};

export type OverviewAnswer = {
  since: string | null; until: string | null; bucket: 'hour' | 'day';
  by: 'tool' | 'model' | 'project'; updated_at: string; totals: Sums; series: OverviewStep[];
  groups: OverviewGroup[]; is_complete: boolean; read: number; of: number;
};

export type OverviewGroup = {
  group: string | null; events: number; failures: number; sessions: number; messages: number;
  cost: number | null; unpriced: number;
};

export type OverviewStep = {
  at: string; group: string | null; events: number; failures: number; sessions: number;
  messages: number; input: number; output: number; cost: number | null; unpriced: number;
};

export type Pair = {
  first: number; second: number; difference: number; interval: Interval; t: number; df: number;
  p: number;
};

export type PairedT = {
  t: number; df: number; p: number; difference: number; interval: Interval; d: number;
};

export type Pause = {
  scope: 'all' | 'project' | 'session'; subject: string; since: string; until: string | null;
  unrecorded: number;
};

export type PauseStatus = {
  is_paused: boolean; pauses: Pause[]; unrecorded: number; unrecorded_off: number; problem: string;
};

export type PeriodReport = {
  period: 'day' | 'week'; name: string; since: string; until: string; before: PreviousPeriod;
  is_running: boolean; is_empty: boolean; last_record: string | null; totals: PeriodTotal[];
  days: DayTotals[]; tools: ToolTimes[]; failures: FailingTool[];
  by: Record<'model' | 'project' | 'tool', GroupTotals[]>; outcomes: OutcomeCount[];
  series: SeriesTotals[]; sessions: ExpensiveSession[]; calibration: Calibration | null;
  comparison: MetricComparison[] | null; comparison_missing: string | null; sentences: string[];
};

export type PeriodTotal = {
  name: string; unit: string; now: number | null; before: number | null; change: number | null;
};

export type PlanAnswer = {
  plan: PlanDetail; outcome: PlanOutcome;
};

export type PlanDetail = {
  plan_id: string; superseded_by: string | null; phases: PlanPhase[]; evaluations: PlanEvaluation[];
  consensus: unknown; execution_plan: unknown; metadata: unknown;
  odd_numbers: Record<string, string>; other: Record<string, unknown>;
};

export type PlanEvaluation = {
  number: number; planner: string | null; complexity: string | null; agent_count: number | null;
  confidence: number | null; response_time_ms: number | null; cost: number | null; saved: unknown;
};

export type PlanOutcome = {
  plan_id: string; session_id: string | null; agent_session_id: string | null;
  planned_at: string | null; task_description: string | null; complexity: string | null;
  workflow_pattern: string | null; confidence: number | null; agent_count: number | null;
  planning_cost: number | null; is_superseded: boolean; tool: string | null; started: string | null;
  ended: string | null; duration_seconds: number | null; tool_calls: number | null;
  failures: number | null; subagents: number | null; todos: number | null;
  todos_finished: number | null; tokens: Record<string, number> | null; actual_cost: number | null;
  verdict: string | null; verdict_source: string | null; note: string | null;
  unpriced: number | null;
};

export type PlanPhase = {
  number: number; name: string | null; description: string | null; agents: string[];
  depends_on: string[]; saved: unknown;
};

export type PlanPoint = {
  plan_id: string; title: string | null; complexity: string | null; confidence: number;
  planning_cost: number;
};

export type PlanPoints = {
  points: PlanPoint[]; is_cut: boolean;
};

export type PlanStanding = {
  calibration: Calibration; interval: Bin | null; cost_by_complexity: CostError | null;
  cost_by_pattern: CostError | null;
};

export type PlanStats = {
  total_sessions: number; complexities: Record<string, number>; avg_agent_count: number | null;
  avg_confidence: number | null; total_cost: number; not_numbers: Record<string, number>;
};

export type PlanTotal = {
  group: string | null; plans: number; avg_agent_count: number | null;
  avg_confidence: number | null; planning_cost: number | null;
};

export type Point = {
  at: string; values: number; mean: number; smallest: number; largest: number;
};

export type PreviousPeriod = {
  name: string; since: string; until: string;
};

export type Problem = {
  code: string; message: string; hint: string; version?: number;
};

export type ProjectInfo = {
  root: string; name: string; version: string; since: string | null; pause: PauseStatus;
  semantic: boolean;
};

export type ProportionDifference = {
  difference: number; interval: Interval; p: number; odds_ratio: number | null;
};

export type Reason = {
  kind: 'prompt' | 'plan'; at: string; text: string; record_id: string;
};

export type RecordItem = {
  id: string; created_at: string; content: unknown; node_metadata: unknown;
};

export type RecordText = {
  id: string; purpose: string; created_at: string; document: Excerpt;
};

export type RecordTexts = {
  items: RecordText[];
};

export type RecordedVerdict = {
  id: string; session_id: string; verdict: 'success' | 'partial' | 'failure'; note: string | null;
  created_at: string;
};

export type ReportedCost = {
  session_id: string; tool: string; computed: number | null; unpriced: number; reported: number;
  difference: number; is_guess: boolean;
};

export type SearchHit = {
  record_id: string; purpose: string;
  kind: 'prompt' | 'answer' | 'thinking' | 'command' | 'output' | 'error' | 'path' | 'plan' | 'todo' | 'note' | 'application';
  client: string; tool_name: string; agent_id: string; created_at: string; failed: boolean;
  excerpt: string; marks: Mark[]; rank: number; link: string;
};

export type SearchResult = {
  query: string; mode: 'exact' | 'hybrid'; matched: number; shown: number; behind: number | null;
  sessions: SessionHits[]; near: string[]; vectors: VectorsState | null;
};

export type SeriesList = {
  series: SessionSeries[];
};

export type SeriesTotals = {
  kind: 'score' | 'measurement'; name: string; unit: string | null; values: number;
  sessions: number; mean: number | null; smallest: number | null; largest: number | null;
  values_before: number; mean_before: number | null;
};

export type ServerStatus = {
  status: string;
};

export type SessionCheck = {
  session_id: string; exists: boolean; is_restorable: boolean; status: unknown; version: unknown;
  last_saved: LastSaved | null; counts: Record<string, number>; differences: Disagreement[];
};

export type SessionCost = {
  computed: number | null; unpriced: number; reported: number | null; difference: number | null;
};

export type SessionCounts = {
  version: number | null; messages: number; measurements: number; scores: number;
};

export type SessionFields = {
  session_id: string; status: unknown; version: number;
};

export type SessionHead = {
  session_id: string; status: 'active' | 'completed'; version: number; started_at?: string;
  updated_at?: string; completed_at?: string;
};

export type SessionHits = {
  session_id: string; title: string; project: string; matched: number; hits: SearchHit[];
};

export type SessionItem = {
  session_id: string; tool: string | null; project: string | null; model: string | null;
  started: string | null; last: string | null; duration_seconds: number | null; events: number;
  failures: number; messages: number; tokens: number; cost: number | null; unpriced: number;
  task_description: string | null; complexity: string | null; agent_count: number | null;
  confidence: number | null; planning_cost: number | null; verdict: string | null;
  title: string | null; plans: number;
};

export type SessionNow = {
  session_id: string; title: string | null; tool: string; project: string | null;
  model: string | null; cost: number | null; unpriced: number;
  status: 'waits_for_permission' | 'stuck' | 'working' | 'waits_for_user'; since: string;
  last: string; call: string | null;
};

export type SessionSeries = {
  kind: 'score' | 'measurement'; name: string; unit: string | null; values: number;
  mean: number | null; smallest: number | null; largest: number | null; points: Point[];
};

export type Sign = {
  higher: number; lower: number; p: number; difference: number;
};

export type SimilarPlan = {
  score: number; words: string[]; plan: PlanOutcome;
};

export type SimilarPlans = {
  plans: SimilarPlan[];
};

export type Span = {
  first: string | null; last: string | null;
};

export type SpoolState = {
  events: Record<string, number>; records: Record<string, number>; oldest_seconds: number | null;
  waiting_elsewhere: number;
};

export type Spread = {
  f: number; p: number;
};

export type Start = {
  at: string; source: string;
};

export type Stats = {
  events: EventCount[]; unreported_failures: number; tokens: TokenCount[]; reported: ReportedCost[];
  budgets: BudgetState[]; plans: PlanStats; plan_groups: PlanTotal[]; kinds: KindCount[];
};

export type StoredRecords = {
  stored: number;
};

export type Story = {
  session_id: string; tools: string[]; entries: Entry[];
};

export type Sums = {
  events: number; failures: number; sessions: number; messages: number; input: number;
  cache_read: number; cache_write: number; output: number; cost: number | null; unpriced: number;
};

export type TeamCounts = {
  sessions: number; records: number; events: number; calls: number; failures: number;
  messages: number; input_tokens: number; cache_read_tokens: number; cache_write_tokens: number;
  output_tokens: number; cost_usd: number | null; unpriced: number;
};

export type TeamGroup = {
  name: string; totals: TeamCounts;
};

export type TeamGroups = {
  groups: TeamGroup[]; is_cut: boolean;
};

export type TeamNames = {
  people: string[]; machines: string[]; projects: TeamProjectRow[]; tools: string[];
};

export type TeamOverview = {
  role: 'member' | 'lead' | 'admin'; person: string | null; totals: TeamCounts; people: number;
  machines: number; projects: number; last_hour: string | null;
};

export type TeamProjectRow = {
  person: string; machine: string; project: string; key: string; records: number;
};

export type TeamReadRow = {
  read_at: string; reader: string; role: string; person: string; machine: string; project: string;
  route: string; session: string;
};

export type TeamReads = {
  reads: TeamReadRow[]; next: string | null;
};

export type TeamSessionRow = {
  session: string; person: string; machine: string; project: string; key: string; tool: string;
  models: string[]; first_hour: string; last_hour: string; totals: TeamCounts;
};

export type TeamSessions = {
  sessions: TeamSessionRow[]; next: string | null;
};

export type TodayAnswer = {
  at: string; today: DayCost; earlier: DayCost[]; usual_cost: number | null; since: string;
  tools: ToolTimes[]; failures: ToolFailures[]; failed_calls: FailedCall[]; sessions: SessionNow[];
  sessions_left_out: number; sessions_to_look_at: number; budgets: BudgetState[];
  stuck_after_seconds: number; look_back_seconds: number;
};

export type TodoList = {
  agent_id: string | null; current: Record<string, unknown>[]; work: TodoWork[];
  history: Record<string, unknown>[];
};

export type TodoWork = {
  text: string; start: string; end: string | null; seconds: number | null; ended: string | null;
  events?: Record<string, unknown>[];
};

export type TokenCount = {
  day?: string | null; project?: string | null; tool?: string | null; model?: string | null;
  session?: string | null; agent?: string | null; complexity?: string | null;
  pattern?: string | null; messages: number; input: number; cache_read: number; cache_write: number;
  output: number; cost: number | null; unpriced: number;
};

export type TokenRights = {
  name: string | null; rights: ('ingest' | 'read' | 'admin')[];
  role: 'member' | 'lead' | 'admin' | null; person: string | null;
};

export type ToolCall = {
  tool: string; tool_use_id: string; name: string; created_at: string; has_pre: boolean;
  has_post: boolean; has_result: boolean; wants_pre: boolean; wants_post: boolean;
  ending: 'done' | 'failed' | 'denied' | 'interrupted' | 'invalid' | 'refused' | 'unknown';
  reason: string;
};

export type ToolFailures = {
  tool: string; tool_name: string | null; failed: number; previously_failed: number;
  example: string | null;
};

export type ToolTimes = {
  tool: string; tool_name: string | null; calls: number; failures: number; median_ms: number | null;
  p95_ms: number | null; longest_ms: number | null; total_ms: number | null;
  before_median_ms: number | null;
};

export type Unmatched = {
  tool: string; session_id: string | null; tool_name: string | null; tool_use_id: string | null;
  calls: number; last: string | null;
};

export type Usage = {
  input: number; cache_read: number; cache_write: number; output: number; tokens: number;
  cost: number | null; unpriced: number;
};

export type Variant = {
  name: string; weight: number;
};

export type VariantCount = {
  name: string; weight: number | null; random: number; named: number; late_random: number;
  late_named: number;
};

export type VectorsState = {
  waiting: number; problem: string;
};

export type Welch = {
  t: number; df: number; p: number; difference: number; interval: Interval;
};

export type WelchAnova = {
  f: number; df_between: number; df_within: number; p: number;
};

export type Wilcoxon = {
  v: number; p: number; pairs: number; is_exact: boolean;
};
