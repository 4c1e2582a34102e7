// What the server answers, as its OpenAPI document says; only what is used here.

export type Metric = 'events' | 'failures' | 'sessions' | 'messages' | 'cost';
export type By = 'tool' | 'model' | 'project';

export interface Page<T> {
  items: T[];
  next: string | null;
}

export interface Counts {
  events: number;
  failures: number;
  sessions: number;
  messages: number;
  cost: number | null;
  unpriced: number;
}

export interface Bucket extends Counts {
  at: string;
  group: string | null;
  input: number;
  output: number;
}

export interface Overview {
  since: string | null;
  until: string | null;
  bucket: 'hour' | 'day';
  by: By;
  updated_at: string;
  totals: Counts & {
    input: number;
    output: number;
    cache_read: number;
    cache_write: number;
  };
  series: Bucket[];
  groups: (Counts & { group: string | null })[];
  is_complete: boolean;
  read: number;
  of: number;
}

export interface Session {
  session_id: string;
  tool: string | null;
  project: string | null;
  model: string | null;
  started: string | null;
  last: string | null;
  duration_seconds: number | null;
  events: number;
  failures: number;
  messages: number;
  tokens: number;
  cost: number | null;
  unpriced: number;
  task_description: string | null;
  complexity: string | null;
  agent_count: number | null;
  confidence: number | null;
  planning_cost: number | null;
  verdict: string | null;
  title: string | null;
  plans: number;
}

export type Kind =
  | 'plan' | 'prompt' | 'message' | 'thinking' | 'tool' | 'focus' | 'event' | 'gap';

export interface Entry {
  at: string;
  kind: Kind;
  title: string;
  lines: string[];
  depth: number;
  agent_id: string | null;
  is_failed: boolean;
  duration_ms: number | null;
  tokens: number;
  cost: number | null;
  unpriced: number;
}

export interface Story {
  session_id: string;
  tools: string[];
  entries: Entry[];
}

export interface HookEvent {
  id: string;
  created_at: string;
  content: {
    event_type?: string;
    tool?: string;
    session_id?: string;
    tool_name?: string | null;
    command?: string | null;
    output?: string | null;
    error?: string | null;
    file_paths?: string[];
    success?: boolean | null;
  };
}

export interface Plan {
  id: string;
  created_at: string;
  content: {
    session_id?: string;
    task_description?: string;
    complexity?: string;
    confidence?: number;
    planning_cost?: number;
    agent_count?: number;
  };
}

export interface PlanOutcome {
  plan_id: string;
  session_id: string | null;
  agent_session_id: string | null;
  planned_at: string | null;
  task_description: string | null;
  complexity: string | null;
  workflow_pattern: string | null;
  confidence: number | null;
  agent_count: number | null;
  planning_cost: number | null;
  is_superseded: boolean;
  tool: string | null;
  duration_seconds: number | null;
  tool_calls: number | null;
  failures: number | null;
  subagents: number | null;
  todos: number | null;
  todos_finished: number | null;
  actual_cost: number | null;
  verdict: string | null;
  verdict_source: string | null;
  note: string | null;
  unpriced: number | null;
}

export interface Bin {
  low: number;
  high: number;
  plans: number;
  confidence: number | null;
  success: number | null;
  success_low: number | null;
  success_high: number | null;
}

export interface CostError {
  group: string | null;
  plans: number;
  planned: number;
  actual: number;
  error: number;
  absolute_error: number;
  ratio: number | null;
}

export interface Calibration {
  plans: number;
  judged: number;
  bins: Bin[];
  brier: {
    score: number;
    reliability: number;
    resolution: number;
    uncertainty: number;
    skill: number | null;
  } | null;
  cost_by_complexity: CostError[];
  cost_by_pattern: CostError[];
}

/** Ends of an interval that covers the true value in `level` of all samples. */
export interface Interval {
  low: number;
  high: number;
  level: number;
}

export type Figures = Record<string, number | boolean | null | Interval>;

export interface ComparedGroup {
  name: string;
  description: {
    n: number;
    mean: number | null;
    sd: number | null;
    median: number | null;
    q1: number | null;
    q3: number | null;
    minimum: number | null;
    maximum: number | null;
    outliers: number;
  };
  left_out: Record<string, number>;
  normality: { w: number; p: number } | null;
}

/** What may be said of a metric, with all counted that were tested beside it. */
export type Finding = 'difference' | 'perhaps chance' | 'unclear' | 'none found' | 'not tested';

/** One metric, compared; what was not asked, or cannot be said, is null. */
export interface Compared {
  metric: { name: string; definition: string; unit: string; kind: 'number' | 'share' };
  groups: ComparedGroup[];
  /** The places in `groups` of those that have sessions enough. */
  tested: number[];
  refusal: string;
  welch: Figures | null;
  mann_whitney: Figures | null;
  effect: { d: number; d_interval: Interval; g: number; g_interval: Interval } | null;
  median_difference: Figures | null;
  shares: { difference: number; interval: Interval; p: number; odds_ratio: number | null } | null;
  welch_anova: Figures | null;
  brown_forsythe_anova: Figures | null;
  pairs: { first: number; second: number; difference: number; interval: Interval; t: number; df: number; p: number }[] | null;
  paired_t: Figures | null;
  sign: Figures | null;
  wilcoxon: Figures | null;
  spread: Figures | null;
  smallest_effect: number | null;
  needed: number | null;
  p: number | null;
  p_holm: number | null;
  p_bh: number | null;
  finding: Finding;
  sentence: string;
}

export interface Comparison {
  by: string;
  groups: Record<string, number>;
  sessions: number;
  ungrouped: number;
  unwanted: number;
  pairs: number | null;
  span: { first: string | null; last: string | null };
  /** By whose variants sessions are grouped, and what is to be said of how they came to them. */
  experiment: { name: string; remarks: string[] } | null;
  metrics: Compared[];
}

export interface CompareNames {
  by: string[];
  metrics: string[];
  patterns: string[];
  experiments: string[];
}

export type DayMeasure = 'events' | 'failures' | 'sessions' | 'tokens' | 'cost';

export interface ReportDay {
  day: string;
  events: number;
  failures: number;
  sessions: number;
  tokens: number;
  cost: number | null;
  unpriced: number;
}

export interface ReportTotal {
  name: string;
  unit: string;
  now: number | null;
  before: number | null;
  change: number | null;
}

export interface ReportGroup {
  group: string | null;
  sessions: number;
  tokens: number;
  cost: number | null;
  unpriced: number;
  cost_before: number | null;
  unpriced_before: number;
}

export interface Report {
  period: 'day' | 'week';
  name: string;
  since: string;
  until: string;
  before: { name: string; since: string; until: string };
  is_running: boolean;
  is_empty: boolean;
  /** The latest until its end. */
  last_record: string | null;
  totals: ReportTotal[];
  days: ReportDay[];
  /** Of application sessions. */
  outcomes: { outcome: string; now: number; before: number }[];
  series: {
    kind: 'score' | 'measurement';
    name: string;
    unit: string | null;
    values: number;
    sessions: number;
    mean: number | null;
    smallest: number | null;
    largest: number | null;
    values_before: number;
    mean_before: number | null;
  }[];
  tools: {
    tool: string | null;
    tool_name: string | null;
    calls: number;
    failures: number;
    median_ms: number | null;
    p95_ms: number | null;
    longest_ms: number | null;
    total_ms: number | null;
    before_median_ms: number | null;
  }[];
  failures: {
    tool: string | null;
    tool_name: string | null;
    count: number;
    before: number;
    example: string | null;
  }[];
  by: Record<By, ReportGroup[]>;
  sessions: {
    session_id: string;
    title: string | null;
    tool: string | null;
    project: string | null;
    cost: number | null;
    unpriced: number;
    failures: number;
    duration_seconds: number | null;
  }[];
  calibration: Calibration | null;
  comparison: Compared[] | null;
  comparison_missing: string | null;
  sentences: string[];
}

export interface Doctor {
  versions: Record<string, string>;
  khive: string;
  databases: {
    file: string;
    bytes: number;
    rows: number | null;
    last: string | null;
    problem: string;
  }[];
  spool: {
    events?: Record<string, number>;
    oldest_seconds?: number | null;
    waiting_elsewhere?: number;
  };
  quarantined: string[];
  unmatched: Record<string, unknown>[];
  unmatched_calls: number;
  problems: string[];
  hooks?: { tool: string; scope: string; state: string; transport: string; path: string }[];
}

export interface Backups {
  backups: {
    id: string;
    created_at: string;
    kind: string;
    parent: string | null;
    rows: number;
    content_bytes: number;
    stored_bytes: number;
    stored_as: string;
  }[];
  damaged: Record<string, string>;
  unfinished: string[];
}

export interface Who {
  name: string | null;
  rights: string[];
}

export interface Project {
  root: string;
  name: string;
  version: string;
  since: string | null;
}

export interface Work {
  messages: number;
  tokens: number;
  cost: number | null;
  unpriced: number;
  tool_calls: number;
  failures: number;
  duration_seconds: number | null;
}

export interface Lineage {
  agents: {
    agent_id: string | null;
    agent_type: string | null;
    depth: number;
    models: string[];
    own: Work;
    total: Work;
  }[];
}
