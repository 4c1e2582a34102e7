import { base } from './base';
import type { TokenRights } from './api-types';

/** Whose pages they are: of a project's own server, of a team's, or of a project that a team has a copy of. */
type Site = 'project' | 'team' | 'copy';

export interface NamedPage {
  /** The first part of its address; empty for the first page. */
  path: string;
  title: string;
  /** What is pressed after `g` to go there. */
  key: string;
}

const PAGES: readonly (NamedPage & { sites: readonly Site[]; isForAdmin?: boolean })[] = [
  { path: '', title: 'Overview', key: 'o', sites: ['project', 'copy'] },
  { path: 'sessions', title: 'Sessions', key: 's', sites: ['project', 'copy'] },
  { path: 'events', title: 'Events', key: 'e', sites: ['project', 'copy'] },
  { path: 'plans', title: 'Plans', key: 'p', sites: ['project', 'copy'] },
  { path: 'application_sessions', title: 'Applications', key: 'a', sites: ['project'] },
  { path: 'compare', title: 'Compare', key: 'c', sites: ['project', 'copy'] },
  { path: 'report', title: 'Report', key: 'r', sites: ['project', 'copy'] },
  // The machine of a copy is not the server's.
  { path: 'health', title: 'Health', key: 'h', sites: ['project'] },
  { path: '', title: 'Team', key: 'o', sites: ['team'] },
  { path: 'reads', title: 'Reads', key: 'r', sites: ['team'], isForAdmin: true },
];

/** Whether this is a team's own server, rather than a project of it. */
export const isTeam = (who: TokenRights): boolean => who.role !== null && !base;

/** The pages that whoever asks is offered here, in the order of the bar. */
export function pagesOf(who: TokenRights): readonly NamedPage[] {
  const site = base ? 'copy' : isTeam(who) ? 'team' : 'project';
  return PAGES.filter((page) => page.sites.includes(site) && (!page.isForAdmin || who.role === 'admin'));
}
