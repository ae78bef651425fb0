import { readFileSync } from 'node:fs';
import { parseXattrs, type Row } from '@holdfast/archive';

/** Who asks, as the kernel says. */
export type Caller = {
  readonly uid: number;
  /** Primary group. */
  readonly gid: number;
  /** What passwd(5) calls the uid; several names may share one. */
  readonly userNames: ReadonlySet<string>;
  /** Primary and further groups, with what group(5) calls each. */
  readonly groups: ReadonlyMap<number, ReadonlySet<string>>;
  /** The folder that passwd(5) gives the uid; absent where there is none. */
  readonly home?: Uint8Array;
  /** Root, or the user the agent runs as: may do and see everything. */
  readonly isPrivileged: boolean;
};

/** Where accounts and groups stand: passwd(5) and group(5). */
export type AccountFiles = { readonly passwd: string; readonly group: string };

const systemFiles: AccountFiles = { passwd: '/etc/passwd', group: '/etc/group' };

/** The caller of a peer: its groups are those that group(5) gives its user, and its own. */
export function callerOf(
  { uid, gid }: { readonly uid: number; readonly gid: number },
  agentUid: number,
  files = systemFiles,
): Caller {
  const gids = new Set([gid, ...groupsOf(uid, files.passwd, files.group)]);
  const groupLines = linesOf(files.group);
  const home = linesOf(files.passwd).find((fields) => fields[2] === String(uid))?.[5];
  return {
    uid,
    gid,
    userNames: namesIn(linesOf(files.passwd), uid),
    groups: new Map([...gids].map((each) => [each, namesIn(groupLines, each)])),
    ...(home !== undefined && { home: Buffer.from(home) }),
    isPrivileged: uid === 0 || uid === agentUid,
  };
}

/** Both files have the name first and the number third. */
function namesIn(lines: readonly (readonly string[])[], number: number): ReadonlySet<string> {
  return new Set(lines.flatMap((fields) => (fields[2] === String(number) ? [fields[0]!] : [])));
}

/** The name passwd(5) has for a uid. */
export function userNameOf(uid: number, passwdFile = '/etc/passwd'): string | undefined {
  return linesOf(passwdFile).find((fields) => fields[2] === String(uid))?.[0];
}

/** Numbers of the groups that list the user of a uid. */
export function groupsOf(uid: number, passwdFile = '/etc/passwd', groupFile = '/etc/group'): readonly number[] {
  const user = linesOf(passwdFile).find((fields) => fields[2] === String(uid));
  if (!user) return [];
  const listed = linesOf(groupFile).filter((fields) => (fields[3] ?? '').split(',').includes(user[0]!));
  return [user[3]!, ...listed.map((fields) => fields[2]!)].map(Number).filter(Number.isSafeInteger);
}

function linesOf(file: string): readonly (readonly string[])[] {
  try {
    return readFileSync(file, 'utf8')
      .split('\n')
      .map((line) => line.split(':'));
  } catch {
    // Without the file nobody is in further groups.
    return [];
  }
}

/** Rights of an entry, as its permission bits have them. */
export const rights = { read: 4, search: 1, list: 5 } as const;

/**
 * Whether the recorded owner, group and mode give a caller these rights. Where there is an access list, only its owner's
 * bits count: less than the list may give, never more. A number that had another name when it was recorded was somebody
 * else's: of an account that is gone, or of another machine.
 */
export function mayAccess(row: Row, caller: Caller, wanted: number): boolean {
  if (caller.isPrivileged) return true;
  if (row.type === 'symlink') return true;
  const { mode, uid, gid } = row;
  if (mode === undefined || uid === undefined || gid === undefined) return false;
  if (uid === caller.uid && isNamed(row.userName, caller.userNames)) return ((mode >> 6) & wanted) === wanted;
  if (hasAccessList(row)) return false;
  const group = caller.groups.get(gid);
  if (group && isNamed(row.groupName, group)) return ((mode >> 3) & wanted) === wanted;
  return (mode & wanted) === wanted;
}

function isNamed(recorded: Uint8Array | undefined, names: ReadonlySet<string>): boolean {
  return recorded === undefined || names.has(Buffer.from(recorded).toString());
}

function hasAccessList({ streams = [] }: Row): boolean {
  const stream = streams.find(({ kind }) => kind === 'xattrs');
  if (!stream) return false;
  // Long attributes lie elsewhere: what they say is not looked up for this.
  if (!stream.bytes) return true;
  return parseXattrs(stream.bytes).some(({ name }) => Buffer.from(name).toString() === 'system.posix_acl_access');
}
