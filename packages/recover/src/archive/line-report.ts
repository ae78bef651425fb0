import type { Keyring } from '../format/keyring.ts';
import { KNOWN_SUITE } from '../format/ring.ts';
import type { Findings } from './findings.ts';
import type { LineChooser, Side, Voices } from './keyring-line.ts';
import type { KeyringTree, TreeNode } from './keyring-tree.ts';
import type { ArchiveKeys } from './keys.ts';

/** The line that is read, and what it was chosen from. */
export type ReportedLine = {
  readonly nodes: readonly TreeNode[];
  readonly tree: KeyringTree;
  readonly chooser: LineChooser;
  readonly voices: Voices;
  readonly keys: ArchiveKeys;
};

const origins: Readonly<Record<number, string>> = {
  1: 'as the first',
  2: 'as the same device after its state was lost',
  3: 'from another device',
  4: 'by a recovery code',
  5: "by an administrator's approval",
};

/** Says what is unproven of the line of keyrings, and which keyrings are beside it. */
export function reportLine(line: ReportedLine, findings: Findings): void {
  const { nodes, tree } = line;
  for (const node of [tree.root, ...nodes]) reportFork(node, line, findings);
  for (const node of nodes) if (node.step === 'gap') reportGap(node, findings);
  reportIntroductions(line, findings);
  reportLast(line, findings);
  reportBeside(line, findings);
  reportKeyrings(line, findings);
}

const nameOf = ({ number, hash }: Keyring): string => `keyring ${number} (${hash.toString('hex').slice(0, 16)})`;

function reportFork(fork: TreeNode, line: ReportedLine, findings: Findings): void {
  const { nodes, chooser } = line;
  const taken = nodes[fork.keyring === undefined ? 0 : nodes.indexOf(fork) + 1];
  const sides = chooser.sidesOf(fork);
  const others = sides.filter(({ node, ends }) => (ends ? taken !== undefined : node !== taken));
  // Where the line ends because it was told to, what goes on behind is beside it and no other life.
  if (others.length === 0 || (taken === undefined && others.length === sides.length)) return;
  const where = fork.keyring === undefined ? 'at its beginning' : `after ${nameOf(fork.keyring)}`;
  const read = taken?.keyring === undefined ? 'ends there' : `goes on with ${nameOf(taken.keyring)}`;
  findings.add({
    severity: 'unproven',
    code: 'keyring.fork',
    message: `the line of keyrings forks ${where}: that the right side is read, which ${read}, is not proven`,
  });
  for (const side of others) {
    const message = `the side of the fork ${where} that ${describeSide(side, chooser)} is not read; tell the reader that keyring to read it`;
    findings.add({ severity: 'notice', code: 'keyring.side', message });
  }
}

function describeSide({ node, ends }: Side, chooser: LineChooser): string {
  const last = ends ? node : (chooser.lineFrom(node).at(-1) ?? node);
  const begins = ends ? 'goes on without another keyring' : `begins with ${nameOf(node.keyring!)}`;
  return `${begins} and ends in keyring ${last.keyring!.number}, ${last.keyring!.hash.toString('hex')},`;
}

function reportGap({ keyring, before }: TreeNode, findings: Findings): void {
  if (before === undefined) {
    const message = `keyring ${keyring!.number}, which the reader was told, follows no other: it is a line of its own`;
    findings.add({ severity: 'unproven', code: 'keyring.alone', message });
    return;
  }
  const message = `the keyring before keyring ${keyring!.number} is not here: that it follows is not proven`;
  findings.add({ severity: 'unproven', code: 'keyring.before_missing', message });
}

function reportIntroductions({ nodes, voices }: ReportedLine, findings: Findings): void {
  const writers = nodes.at(-1)?.writers ?? [];
  for (const [index, writer] of writers.entries()) {
    if (voices.introductions.of(writers, index) === true) continue;
    const how = origins[writer.origin] ?? 'in a way that is not known';
    findings.add({
      severity: 'unproven',
      code: 'keyring.not_introduced',
      message: `writer ${writer.number}, which may sign from commit ${writer.firstCommit} on and came in ${how}, was not introduced by the writer before it: that it may write is not proven`,
    });
  }
}

function reportLast({ nodes, voices, keys }: ReportedLine, findings: Findings): void {
  const last = nodes.at(-1);
  const lost = 'who may sign commits is not known, and signatures are not checked';
  if (last?.keyring === undefined) {
    const message = keys.keyrings.length === 0 ? `no keyring holds: ${lost}` : `no keyring counts: ${lost}`;
    findings.add({ severity: 'unproven', code: 'keyring.missing', message });
    return;
  }
  const newest = nodes.findLast(({ keyring }) => voices.opened(keyring!))?.keyring ?? [...keys.rings.keys()].at(-1);
  if (newest !== undefined && newest !== last.keyring) {
    const message = `the secret opens keyring ${newest.number} only; the line of keyrings ends in keyring ${last.keyring.number}`;
    findings.add({ severity: 'notice', code: 'keyring.older', message });
  }
  if (voices.opened(last.keyring) || voices.isNamed(last)) return;
  const message = `neither the secret nor a commit speaks for keyring ${last.keyring.number}: its writers are not proven`;
  findings.add({ severity: 'unproven', code: 'keyring.unproven', message });
}

function reportBeside({ nodes, tree, chooser, keys }: ReportedLine, findings: Findings): void {
  const byKeyring = new Map(tree.nodes.map((node) => [node.keyring, node]));
  const read = new Set(nodes.map(({ keyring }) => keyring));
  for (const keyring of keys.keyrings) {
    if (read.has(keyring)) continue;
    const node = byKeyring.get(keyring);
    const [code, words] = whyBeside(node, chooser);
    findings.add({ severity: 'notice', code, message: `${nameOf(keyring)} ${words}` });
  }
}

function whyBeside(node: TreeNode | undefined, chooser: LineChooser): readonly [string, string] {
  if (node === undefined) return ['keyring.unlinked', 'does not follow the keyring before it: it does not count'];
  if (!node.goesOn && node.before?.goesOn === true)
    return ['keyring.other_epochs', 'does not go on with the keys of those before it: it does not count'];
  if (!chooser.counts(node))
    return ['keyring.beside', 'is beside the line: nothing speaks for it, or for one before it'];
  return ['keyring.beside', 'is beside the line'];
}

/** What is odd about keyrings wherever they stand. */
function reportKeyrings({ voices, keys }: ReportedLine, findings: Findings): void {
  for (const [index, keyring] of keys.keyrings.entries()) {
    if (keys.keyrings[index - 1]?.number === keyring.number) {
      const message = `there are two signed keyrings of number ${keyring.number}`;
      findings.add({ severity: 'notice', code: 'keyring.twice', message });
    }
    const bad = keyring.writers.findIndex((_, at) => voices.introductions.of(keyring.writers, at) === false);
    if (bad !== -1) {
      const message = `keyring ${keyring.number}: the introduction of writer ${keyring.writers[bad]!.number} is not signed by the writer before it`;
      findings.add({ severity: 'notice', code: 'keyring.bad_introduction', message });
    }
    for (const { number, suite } of keys.rings.get(keyring) ?? []) {
      if (suite === KNOWN_SUITE) continue;
      const message = `keyring ${keyring.number}: epoch ${number} is of suite ${suite}, which this reader does not know: nothing is opened with its key`;
      findings.add({ severity: 'notice', code: 'epoch.unknown_suite', message });
    }
  }
}
