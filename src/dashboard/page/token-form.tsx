// Asks for the token of the API, and says why.
import { useRef } from "preact/hooks";
import { showName } from "./format.ts";

interface TokenFormProps {
  readonly why: string;
  readonly onToken: (token: string) => void;
}

export function TokenForm({ why, onToken }: TokenFormProps) {
  const input = useRef<HTMLInputElement>(null);
  const submit = (event: Event) => {
    event.preventDefault();
    const token = input.current?.value.trim() ?? "";
    if (token !== "") onToken(token);
  };
  return (
    <form class="panel token" onSubmit={submit} aria-labelledby="token-heading">
      <h2 id="token-heading">A token is needed</h2>
      <p role="alert">{showName(why, 600)}</p>
      <label for="token">API token</label>
      <div class="row">
        <input
          id="token"
          ref={input}
          type="password"
          autocomplete="off"
          spellcheck={false}
          required
          aria-describedby="token-help"
        />
        <button type="submit">Use it</button>
      </div>
      <p id="token-help" class="note">
        It is the value of <code>PEAT_API_TOKEN</code>, or on the node's own machine what the file{" "}
        <code>token</code> in its runtime directory holds. It is kept until this tab is closed, and
        sent to this node only.
      </p>
    </form>
  );
}
