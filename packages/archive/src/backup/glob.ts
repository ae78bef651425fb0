/**
 * Patterns for names and paths, matched over bytes without backtracking.
 *
 * Every place of the pattern that the bytes so far may have led to is followed at once, so a match takes at most the
 * length of the pattern times that of the text, whatever both hold. (Thompson, Regular expression search algorithm, 1968.)
 */

/** Whether all of a text, name or path, fits a pattern. */
export type GlobMatcher = (text: Uint8Array) => boolean;

type Step =
  | { readonly kind: 'byte'; readonly byte: number }
  /** One byte but `/`. */
  | { readonly kind: 'one' }
  /** Any run of bytes but `/`. */
  | { readonly kind: 'run' }
  /** Any run of bytes. */
  | { readonly kind: 'deep' }
  /** Nothing, or any run that ends in `/`: where that begins, and where it goes on. */
  | { readonly kind: 'folders' }
  | { readonly kind: 'in_folders' };

const slash = 0x2f;
const star = 0x2a;
const question = 0x3f;

/**
 * Makes the matcher of a pattern: `*` is any run of bytes but `/`, `?` one such byte, `**` any run, and `**` with a slash
 * behind it any number of whole folders, also none. All else, in UTF-8, stands for itself.
 */
export function compileGlob(pattern: string): GlobMatcher {
  const steps = stepsOf(Buffer.from(pattern));
  const tail = literalTail(steps);
  return (text) => endsWith(text, tail) && run(steps, text);
}

function stepsOf(pattern: Uint8Array): readonly Step[] {
  const steps: Step[] = [];
  for (let at = 0; at < pattern.length; at++) {
    const byte = pattern[at]!;
    if (byte === question) steps.push({ kind: 'one' });
    else if (byte !== star) steps.push({ kind: 'byte', byte });
    else if (pattern[at + 1] !== star) steps.push({ kind: 'run' });
    else if (pattern[at + 2] === slash) {
      steps.push({ kind: 'folders' }, { kind: 'in_folders' });
      at += 2;
    } else {
      steps.push({ kind: 'deep' });
      at += 1;
    }
  }
  return steps;
}

/** The bytes a text must end in: a look that turns away most of them at once. */
function literalTail(steps: readonly Step[]): Uint8Array {
  const last = steps.findLastIndex(({ kind }) => kind !== 'byte');
  return Uint8Array.from(steps.slice(last + 1).flatMap((step) => (step.kind === 'byte' ? [step.byte] : [])));
}

function run(steps: readonly Step[], text: Uint8Array): boolean {
  let now = new Uint8Array(steps.length + 1);
  let next = new Uint8Array(steps.length + 1);
  reach(steps, now, 0);
  for (const byte of text) {
    let isAnywhere = false;
    for (let at = 0; at < steps.length; at++) {
      if (now[at] === 1 && advance(steps, next, at, byte)) isAnywhere = true;
    }
    if (!isAnywhere) return false;
    [now, next] = [next, now];
    next.fill(0);
  }
  return now[steps.length] === 1;
}

/** Takes one byte at one place of the pattern; whether that leads anywhere. */
function advance(steps: readonly Step[], next: Uint8Array, at: number, byte: number): boolean {
  const step = steps[at]!;
  if (step.kind === 'byte' ? byte !== step.byte : byte === slash && (step.kind === 'one' || step.kind === 'run')) {
    return false;
  }
  if (step.kind === 'byte' || step.kind === 'one') reach(steps, next, at + 1);
  else if (step.kind === 'folders') reach(steps, next, byte === slash ? at + 2 : at + 1);
  else reach(steps, next, at);
  // In folders, a slash may end them or be one more inside them.
  if (step.kind === 'folders') next[at + 1] = 1;
  if (step.kind === 'in_folders' && byte === slash) reach(steps, next, at + 1);
  return true;
}

/** Marks a place, and those behind it that take no byte to come to. */
function reach(steps: readonly Step[], places: Uint8Array, from: number): void {
  let at = from;
  while (places[at] === 0) {
    places[at] = 1;
    const kind = steps[at]?.kind;
    if (kind === 'run' || kind === 'deep') at += 1;
    else if (kind === 'folders') at += 2;
    else return;
  }
}

function endsWith(text: Uint8Array, tail: Uint8Array): boolean {
  const from = text.length - tail.length;
  if (from < 0) return false;
  for (let at = tail.length - 1; at >= 0; at--) if (text[from + at] !== tail[at]) return false;
  return true;
}
