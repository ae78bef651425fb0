/**
 * Which paths a backup protects, and by or against which rule.
 *
 * Paths are bytes, absolute, without a slash at the end. A rule is text; its bytes are matched, so it works on names that
 * are no text. Exclusions win over inclusions; what the agent must never read (its own state, local destinations) wins
 * over both.
 */
import { compareBytes } from './bytes.ts';
import { compileGlob } from './glob.ts';

/** A pattern and why it is there, shown by `holdfast why`. */
export type ExclusionRule = {
  /**
   * An absolute path (and all below it), or a pattern: `*` is any run of bytes but `/`, `?` one such byte, `**` any run.
   * Without a slash it is matched against the name alone; with one, but not as its first byte, at any depth.
   */
  readonly pattern: string;
  readonly reason: string;
};

/** A selection with a number of its own, as the policy gives it. */
export type SelectedSet = {
  readonly number: number;
  readonly name: string;
  /** Absolute paths. */
  readonly includes: readonly string[];
  readonly excludes: readonly ExclusionRule[];
};

/** What the rules say of one path. */
export type Decision =
  | { readonly status: 'selected'; readonly sets: readonly number[] }
  /** A directory on the way to an include: recorded, but only the way through it. */
  | { readonly status: 'on_the_way' }
  | { readonly status: 'excluded'; readonly set?: string; readonly pattern: string; readonly reason: string }
  | { readonly status: 'outside' };

type CompiledSet = {
  readonly set: SelectedSet;
  readonly includes: readonly Uint8Array[];
  readonly excludes: readonly CompiledRule[];
};
type CompiledRule = { readonly rule: ExclusionRule; matches(path: Uint8Array, nameStart: number): boolean };

/** The compiled rules of all sets of a device. */
export class Selection {
  readonly #sets: readonly CompiledSet[];
  readonly #never: readonly CompiledRule[];

  /** @param never absolute paths that are never read, whatever the sets say */
  constructor(sets: readonly SelectedSet[], never: readonly ExclusionRule[]) {
    this.#sets = sets.map((set) => ({
      set,
      includes: set.includes.map(pathBytes),
      excludes: set.excludes.map(compileRule),
    }));
    this.#never = never.map(compileRule);
  }

  /** The includes of all sets, each once, none below another. */
  roots(): readonly Uint8Array[] {
    const all = this.#sets.flatMap((set) => set.includes).toSorted(compareBytes);
    return all.filter((path, index) => !all.some((other, at) => at < index && isAtOrBelow(path, other)));
  }

  /** What the rules say of this path; ancestors that are excluded exclude what is below them. */
  decide(path: Uint8Array): Decision {
    for (let end = 1; end <= path.length; end++) {
      if (end < path.length && path[end] !== slash) continue;
      const never = this.#never.find((rule) => rule.matches(path.subarray(0, end), nameStartOf(path, end)));
      if (never) return { status: 'excluded', ...never.rule };
    }
    const outcomes = this.#sets.map((set) => decideFor(set, path));
    const sets = this.#sets.filter((_, index) => outcomes[index]?.status === 'selected').map(({ set }) => set.number);
    if (sets.length > 0) return { status: 'selected', sets };
    return (
      outcomes.find((outcome) => outcome.status === 'excluded') ??
      outcomes.find((outcome) => outcome.status === 'on_the_way') ?? { status: 'outside' }
    );
  }

  /** Whether an include of one of these sets lies below this path. */
  leadsTo(path: Uint8Array, sets: ReadonlySet<number>): boolean {
    return this.#includesOf(sets).some((include) => include.length > path.length && isAtOrBelow(include, path));
  }

  /** Whether something at this path or below it, or the path itself, can be selected by one of these sets. */
  concerns(path: Uint8Array, sets: ReadonlySet<number>): boolean {
    return this.#includesOf(sets).some((include) => isAtOrBelow(include, path) || isAtOrBelow(path, include));
  }

  #includesOf(sets: ReadonlySet<number>): readonly Uint8Array[] {
    return this.#sets.filter(({ set }) => sets.has(set.number)).flatMap(({ includes }) => includes);
  }

  /**
   * What the rules say of an entry whose parent was selected by `parentSets`: the fast form of `decide` for a walk.
   * Returns the sets that select it; empty when every one of them excludes it.
   */
  selectedBelow(path: Uint8Array, parentSets: readonly number[]): readonly number[] {
    const nameStart = path.lastIndexOf(slash) + 1;
    if (this.#never.some((rule) => rule.matches(path, nameStart))) return none;
    const isSelected = (compiled: CompiledSet) =>
      parentSets.includes(compiled.set.number)
        ? !compiled.excludes.some((rule) => rule.matches(path, nameStart))
        : decideFor(compiled, path).status === 'selected';
    const isInherited = (compiled: CompiledSet) => isSelected(compiled) === parentSets.includes(compiled.set.number);
    if (this.#sets.every(isInherited)) return parentSets;
    return this.#sets.filter(isSelected).map(({ set }) => set.number);
  }
}

const slash = 0x2f;
const none: readonly number[] = [];

function nameStartOf(path: Uint8Array, end: number): number {
  return path.subarray(0, end).lastIndexOf(slash) + 1;
}

function decideFor({ set, includes, excludes }: CompiledSet, path: Uint8Array): Decision {
  const include = includes.filter((root) => isAtOrBelow(path, root)).at(-1);
  if (!include) {
    return { status: includes.some((root) => isAtOrBelow(root, path)) ? 'on_the_way' : 'outside' };
  }
  for (let end = include.length + 1; end <= path.length; end++) {
    if (end < path.length && path[end] !== slash) continue;
    const here = path.subarray(0, end);
    const hit = excludes.find((rule) => rule.matches(here, nameStartOf(path, end)));
    if (hit) return { status: 'excluded', set: set.name, ...hit.rule };
  }
  return { status: 'selected', sets: [set.number] };
}

const credentialNames = new Set(
  [
    '.ssh',
    '.gnupg',
    '.aws',
    '.azure',
    '.kube',
    '.docker',
    '.password-store',
    'keyrings',
    '.pki',
    '.netrc',
    '.pgpass',
  ].concat([
    '.git-credentials',
    '.npmrc',
    '.pypirc',
    '.mozilla',
    'chromium',
    'google-chrome',
    'logins.json',
    'key4.db',
    '.env',
  ]),
);

/** Whether a path looks like keys or passwords: such bytes never share a compression with others. */
export function isCredentialPath(path: Uint8Array): boolean {
  return latin1(path)
    .split('/')
    .some((name) => credentialNames.has(name) || name.startsWith('id_') || /\.(pem|key|kdbx|p12|pfx)$/i.test(name));
}

/** Whether `path` is `ancestor` or lies below it. */
export function isAtOrBelow(path: Uint8Array, ancestor: Uint8Array): boolean {
  if (ancestor.length === 1 && ancestor[0] === slash) return true;
  if (path.length < ancestor.length) return false;
  for (let i = ancestor.length - 1; i >= 0; i--) if (path[i] !== ancestor[i]) return false;
  return path.length === ancestor.length || path[ancestor.length] === slash;
}

function pathBytes(text: string): Uint8Array {
  const trimmed = text.length > 1 ? text.replace(/\/+$/, '') : text;
  return Buffer.from(trimmed === '' ? '/' : trimmed);
}

function compileRule(rule: ExclusionRule): CompiledRule {
  const { pattern } = rule;
  if (pattern.startsWith('/') && !/[*?]/.test(pattern)) {
    const ancestor = pathBytes(pattern);
    return { rule, matches: (path) => isAtOrBelow(path, ancestor) };
  }
  if (!pattern.includes('/')) return { rule, matches: nameMatcher(pattern) };
  return { rule, matches: compileGlob(pattern.startsWith('/') ? pattern : `**/${pattern}`) };
}

/** Most rules are a plain name, `*.ext` or `prefix*`: compared as bytes, since a walk asks for every entry. */
function nameMatcher(pattern: string): CompiledRule['matches'] {
  const bytes = Buffer.from(pattern);
  if (!/[*?]/.test(pattern)) {
    return (path, start) => path.length - start === bytes.length && endsWith(path, bytes);
  }
  if (/^\*[^*?]+$/.test(pattern)) {
    const suffix = bytes.subarray(1);
    return (path, start) => path.length - start >= suffix.length && endsWith(path, suffix);
  }
  const matches = compileGlob(pattern);
  return (path, start) => matches(path.subarray(start));
}

function endsWith(path: Uint8Array, suffix: Uint8Array): boolean {
  const from = path.length - suffix.length;
  for (let i = suffix.length - 1; i >= 0; i--) if (path[from + i] !== suffix[i]) return false;
  return true;
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}
