import { CodedError } from '@holdfast/base';

/** Where the agent says what it does; never a path of anybody's files. */
export type AgentLog = {
  info(message: string, facts?: Readonly<Record<string, unknown>>): void;
  warn(message: string, facts?: Readonly<Record<string, unknown>>): void;
  /** `fault` is what was thrown, shown with its stack where nobody declared it. */
  error(message: string, declared: CodedError, fault?: unknown): void;
};

/** One JSON object a line, on a stream that the service manager keeps. */
export function createLog(write: (line: string) => void, now: () => number = Date.now): AgentLog {
  const line = (level: string, message: string, facts: Readonly<Record<string, unknown>> = {}) =>
    write(`${JSON.stringify({ time: new Date(now()).toISOString(), level, message, ...facts })}\n`);
  return {
    info: (message, facts) => line('info', message, facts),
    warn: (message, facts) => line('warn', message, facts),
    error: (message, declared, fault) =>
      line('error', message, {
        code: declared.code,
        reason: declared.message,
        causes: causesOf(fault ?? declared.cause),
      }),
  };
}

/** What `lineWriter` needs of a stream like `process.stderr`. */
export type LineStream = {
  on(event: 'error', listener: () => void): unknown;
  write(text: string, onDone: (error?: Error | null) => void): unknown;
};

/**
 * Writes lines to a stream that may fail at any time: nobody reads it any more, or its disk is full. Such a line is lost, and
 * how many were is said as soon as one can be written: a log must not end what it tells of.
 */
export function lineWriter(stream: LineStream): (line: string) => void {
  let leftOut = 0;
  // Without a listener an error of the stream ends the process.
  stream.on('error', () => undefined);
  return (line) => {
    const missing = leftOut;
    leftOut = 0;
    const notice = { level: 'warn', message: 'lines could not be written', leftOut: missing };
    stream.write(missing === 0 ? line : `${JSON.stringify(notice)}\n${line}`, (error) => {
      if (error) leftOut += missing + 1;
    });
  };
}

/** Codes of declared errors, stacks of faults, down the chain of causes. */
function causesOf(error: unknown): readonly string[] {
  const causes: string[] = [];
  for (let at = error; at instanceof Error && causes.length < 5; at = at.cause) {
    causes.push(at instanceof CodedError ? at.code : (at.stack ?? at.message));
  }
  return causes;
}

/** A log that keeps quiet. */
export const silentLog: AgentLog = { info: () => undefined, warn: () => undefined, error: () => undefined };
