from cdp_orchestration.cli.verbs import main

main()
