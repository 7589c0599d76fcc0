// Ends the session without asking: submits the form that the page holds.
document.forms[0].submit()
