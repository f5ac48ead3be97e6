// How a document came to be: its changes, or who wrote each field last, or its deletion.
import { formatBytes, formatCount, formatTime, showName } from "./format.ts";
import type { Change, DocumentHistory, Edit, FieldStamp } from "./history-answer.ts";

function timeOf(atMs: number | undefined): string {
  return atMs === undefined || atMs === 0 ? "time not known" : formatTime(atMs);
}

function EditRow({ edit }: { edit: Edit }) {
  const { path, before, after } = edit;
  return (
    <li>
      <span class="path">{showName(path, 200)}</span>{" "}
      {before !== undefined && <del>{showName(before, 200)}</del>}
      {before !== undefined && after !== undefined && <span aria-hidden="true"> → </span>}
      {after !== undefined && <ins>{showName(after, 200)}</ins>}
    </li>
  );
}

function ChangeRow({ change }: { change: Change }) {
  return (
    <li>
      <div class="when">
        <time>{timeOf(change.atMs)}</time>
        {change.writer !== "" && <span class="writer">{showName(change.writer)}</span>}
        <span class="note">
          {formatBytes(change.bytes)} · {change.hash.slice(0, 8)}
        </span>
      </div>
      <ul class="edits">
        {change.edits.map((edit) => (
          <EditRow key={edit.path} edit={edit} />
        ))}
        {change.editsLeft > 0 && <li class="note">and {formatCount(change.editsLeft)} more</li>}
      </ul>
    </li>
  );
}

function Changes({ history }: { history: DocumentHistory }) {
  const { changes, changeCount } = history;
  const left = changeCount - changes.length;
  return (
    <>
      <ol class="changes">
        {changes.map((change) => (
          <ChangeRow key={change.hash} change={change} />
        ))}
      </ol>
      {left > 0 && <p class="note">{formatCount(left)} earlier changes are not shown.</p>}
    </>
  );
}

function Fields({ fields }: { fields: readonly FieldStamp[] }) {
  return (
    <table class="fields">
      <thead>
        <tr>
          <th scope="col">Field</th>
          <th scope="col">Written</th>
          <th scope="col">By</th>
        </tr>
      </thead>
      <tbody>
        {fields.map(({ name, atMs, writer, isRemoved }) => (
          <tr key={name}>
            <th scope="row">{showName(name)}</th>
            <td>
              {timeOf(atMs)}
              {isRemoved && " (removed)"}
            </td>
            <td>{showName(writer)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

export function HistoryPane({ history }: { history: DocumentHistory }) {
  const { deleted, changes, fields } = history;
  return (
    <section class="history" aria-labelledby="history-heading">
      <h3 id="history-heading">History</h3>
      {deleted !== undefined && (
        <p>
          Deleted {timeOf(deleted.atMs)}
          {deleted.by !== "" && ` by ${showName(deleted.by)}`}
          {deleted.reason !== "" && `: ${showName(deleted.reason, 300)}`}
        </p>
      )}
      {fields.length > 0 && <Fields fields={fields} />}
      {changes.length > 0 && <Changes history={history} />}
    </section>
  );
}
