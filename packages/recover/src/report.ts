import type { Archive } from './archive/archive.ts';
import type { Finding, Findings } from './archive/findings.ts';
import type { Moment } from './archive/times.ts';
import { formatInstant } from './format/bytes.ts';

/** What was made, or in a dry run would have been. `bytes` are bytes of content; holes do not count. */
export type RecoverCounts = {
  readonly files: number;
  readonly directories: number;
  readonly symlinks: number;
  readonly hardLinks: number;
  readonly specials: number;
  readonly bytes: number;
  readonly lostFiles: number;
};

/**
 * What a run came to.
 *
 * `complete`: nothing that was asked for is lost. `proven`: the state is that of a signed, unbroken chain, whole. Times
 * are RFC 3339. `findings` holds up to 2,000 of each code; `findingCounts` counts all.
 */
export type RecoverReport = {
  readonly archiveId: string;
  readonly headCommit: number;
  readonly headAt: string | undefined;
  readonly commit: number;
  readonly commitAt: string | undefined;
  readonly keyringNumber: number | undefined;
  readonly liveSetNumber: number | undefined;
  readonly recordsFound: number;
  readonly segmentsFound: number;
  readonly complete: boolean;
  readonly proven: boolean;
  readonly counts: RecoverCounts;
  readonly findings: readonly Finding[];
  readonly findingCounts: Readonly<Record<string, number>>;
};

/** Puts a report together from what is known at the end of a run. */
export function makeReport(
  archive: Archive,
  run: { readonly moment: Moment; readonly head: Moment; readonly counts: RecoverCounts; readonly findings: Findings },
): RecoverReport {
  const say = (moment: Moment) => (moment.at === undefined ? undefined : formatInstant(moment.at));
  return {
    archiveId: archive.archiveId.toString('hex'),
    headCommit: archive.headCommit,
    headAt: say(run.head),
    commit: run.moment.commit,
    commitAt: say(run.moment),
    keyringNumber: archive.keyringNumber,
    liveSetNumber: archive.liveSet?.number,
    recordsFound: archive.shelf.index.ordinals,
    segmentsFound: archive.shelf.segments,
    complete: run.findings.count('loss') === 0,
    proven: run.findings.count('unproven') === 0,
    counts: run.counts,
    findings: run.findings.kept,
    findingCounts: run.findings.counts,
  };
}

/** A path for people: UTF-8 as it is, control characters and invalid bytes as `\xNN`. */
export function displayPath(path: Buffer): string {
  const text = path.toString();
  const isText = Buffer.from(text).equals(path);
  return Array.from(isText ? text : path.toString('latin1'), (char) =>
    needsEscape(char, isText) ? escapeChar(char) : char,
  ).join('');
}

function needsEscape(char: string, isText: boolean): boolean {
  const point = char.codePointAt(0)!;
  return point < 0x20 || point === 0x7f || char === '\\' || (!isText && point > 0x7e);
}

const escapeChar = (char: string): string => `\\x${char.codePointAt(0)!.toString(16).padStart(2, '0')}`;

/** A report as plain data for JSON; `pathHex` is there where the path is not plain UTF-8. */
export function reportToJson(report: RecoverReport): unknown {
  const findings = report.findings.map(({ path, ...rest }) =>
    path === undefined ? rest : { ...rest, ...pathToJson(path) },
  );
  return { ...report, findings };
}

/** A path as JSON fields: `path` for people, and `pathHex`, its bytes, where that is not the same. */
export function pathToJson(path: Buffer): { readonly path: string; readonly pathHex?: string } {
  const shown = displayPath(path);
  return Buffer.from(shown).equals(path) ? { path: shown } : { path: shown, pathHex: path.toString('hex') };
}

/** A report as lines of text. */
export function reportToText(report: RecoverReport): string {
  const { counts } = report;
  const lines = [
    `Archive ${report.archiveId}: ${report.segmentsFound} segments, ${report.recordsFound} records, head is commit ${report.headCommit} of ${report.headAt ?? 'unknown time'}`,
    `Taken: commit ${report.commit} of ${report.commitAt ?? 'unknown time'}`,
    `${counts.files} files, ${counts.directories} directories, ${counts.symlinks} symbolic links, ${counts.hardLinks} further hard links, ${counts.specials} FIFOs, sockets and devices, ${counts.bytes} bytes`,
    ...(['loss', 'unproven', 'notice'] as const).flatMap((severity) => linesOf(report, severity)),
    `${report.complete ? 'Complete' : incompleteText(counts.lostFiles)}${report.proven ? '' : '; the state is NOT PROVEN, see above'}.`,
  ];
  return `${lines.join('\n')}\n`;
}

function incompleteText(lostFiles: number): string {
  return `INCOMPLETE: ${lostFiles === 0 ? 'something is missing, see above' : `${lostFiles} files lost or damaged`}`;
}

const titles = { loss: 'LOST', unproven: 'NOT PROVEN', notice: 'note' } as const;

function linesOf(report: RecoverReport, severity: Finding['severity']): readonly string[] {
  return report.findings
    .filter((finding) => finding.severity === severity)
    .map((finding) => {
      const path = finding.path === undefined ? '' : `${displayPath(finding.path)}: `;
      const records =
        finding.records === undefined || finding.records.length === 0 ? '' : ` [records ${finding.records.join(', ')}]`;
      const where = finding.where === undefined ? '' : ` (${finding.where})`;
      return `${titles[severity]}: ${path}${finding.message}${records}${where} [${finding.code}]`;
    });
}
