// The dashboard in the browser.
import { render } from "preact";
import { Page } from "./page.tsx";
import { NodeWatch } from "./watching.ts";

const watch = new NodeWatch();
const root = document.getElementById("page");
if (root !== null) {
  root.textContent = "";
  render(<Page watch={watch} />, root);
  watch.start();
}
