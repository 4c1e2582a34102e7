// What the pages know of answers beyond `api-types.ts`.

import type {
  AdditionFields, AssignmentAnswer, DayTotals, Interval, MetricComparison, OverviewAnswer, RecordItem,
  SessionFields,
} from './api-types';

export type Metric = 'events' | 'failures' | 'sessions' | 'messages' | 'cost';
export type By = OverviewAnswer['by'];
export type DayMeasure = Exclude<keyof DayTotals, 'day' | 'unpriced'>;
export type Finding = MetricComparison['finding'];
export type Figures = Record<string, number | boolean | null | Interval>;

/** A page of a list; of which name its rows are, each route says. */
export type Page<T, Name extends string = 'items'> = Record<Name, T[]> & { next: string | null };

/** An event as a tool's hook tells it; a field that it has otherwise is shown as it is. */
export interface HookEvent extends RecordItem {
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

/** What an application said, measured or scored in a session; a field that it has otherwise is shown as it is. */
export interface MessageItem extends AdditionFields {
  role?: string;
  kind?: string;
  text?: string;
  thinking?: string;
}

export interface ScoreItem extends AdditionFields {
  name?: string;
  value?: unknown;
  max_value?: unknown;
  note?: string;
}

export interface ApplicationSession extends SessionFields {
  application?: string;
  participant?: string;
  scenario?: string;
  group?: string;
  started_at?: string;
  updated_at?: string;
  completed_at?: string;
  outcome?: unknown;
  summary?: unknown;
  metadata?: Record<string, unknown>;
}

export interface AssignmentRecord extends RecordItem {
  content: Partial<AssignmentAnswer>;
}

export interface Outcome extends RecordItem {
  content: {
    session_id?: string;
    verdict?: string;
    note?: string;
    source?: string;
  };
}

/** A row of the list of events: the columns that were asked for. */
export interface EventRow {
  id: string;
  created_at: string;
  tool: string | null;
  event_type: string | null;
  subject: string;
  success: boolean | null;
  session_id: string | null;
  tool_name?: string | null;
  command?: string | null;
  output?: string | null;
  error?: string | null;
  file_paths?: string[] | null;
  duration_ms?: number | null;
  cwd?: string | null;
  model?: string | null;
  agent_type?: string | null;
  hook_event_name?: string | null;
}
