/**
 * Where this page is served: at the root by a project's own server, below `/team/KEY` by a team's.
 * The key has the base64url of the JSON of person, machine and project.
 */
const place = /^\/team\/([A-Za-z0-9_-]+)\//.exec(location.pathname);

/** What stands before the paths of the server; empty at a project's own. */
export const base = place ? `/team/${place[1]}` : '';

export interface TeamPlace {
  person: string;
  machine: string;
  project: string;
}

/** Whose project this is; nothing at a project's own server. */
export const teamPlace: TeamPlace | undefined = place?.[1] ? decoded(place[1]) : undefined;

const KEPT = 'team';

/** Keep which part of the team is looked at, for the way back from one of its projects in this tab. */
export const keepTeam = (hash: string): void => sessionStorage.setItem(KEPT, hash);

/** The team's page, with the filters that it had in this tab. */
export const teamUrl = (): string => `/${sessionStorage.getItem(KEPT) ?? ''}`;

/** The page of one project of a team, as the server names it. */
export const projectUrl = (key: string): string => `/team/${key}/`;

/** The address of something that the server answers about what is recorded here. */
export const located = (path: string): string => (path.startsWith('/v1/') && path !== '/v1/whoami' ? base + path : path);

function decoded(key: string): TeamPlace | undefined {
  try {
    const bytes = Uint8Array.from(atob(key.replaceAll('-', '+').replaceAll('_', '/')), (one) => one.charCodeAt(0));
    const [person, machine, project] = JSON.parse(new TextDecoder().decode(bytes)) as string[];
    return { person: person ?? '', machine: machine ?? '', project: project ?? '' };
  } catch {
    return undefined;
  }
}
