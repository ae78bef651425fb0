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
